"""The decorator of values that are created for every request."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as fast_frozen
else:
    # Type checkers see a frozen class. At run time, creating a frozen instance would take three times as long.
    from attrs import define as fast_frozen

__all__ = ["fast_frozen"]
