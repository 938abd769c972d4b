"""The decorator of values that are made for every single request."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as fast_frozen
else:
    # Checkers forbid to change a value either way. At run time, a frozen class takes three times as long to make.
    from attrs import define as fast_frozen

__all__ = ["fast_frozen"]
