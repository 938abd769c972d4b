"""The decorator of values that are made for every single request."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as value
else:
    # Checkers forbid to change a value either way. At run time, a frozen class takes three times as long to make.
    from attrs import define as value

__all__ = ["value"]
