"""Validation as Laravel does it: all fields are checked, and one answer has all errors."""

import re
from collections.abc import Collection, Mapping
from datetime import date
from functools import cache
from zoneinfo import available_timezones

from fathom_async.testing._http_errors import invalid

_TRUE = (True, 1, "1", "true")
_FALSE = (False, 0, "0", "false")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

_timezones = cache(available_timezones)


class Form:
    """The fields of one request, and their errors.

    Each method reads one field and returns its value, or `None` if it is absent or invalid; `check` raises in the
    end. As in Laravel, an empty string is an absent value.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = {name: value for name, value in values.items() if value not in ("", None)}
        self._errors: dict[str, list[str]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def fail(self, name: str, message: str) -> None:
        self._errors.setdefault(name, []).append(message)

    def check(self) -> None:
        if self._errors:
            raise invalid(self._errors)

    def require(self, name: str, condition: str = "") -> None:
        if name not in self._values:
            self.fail(name, f"The {_words(name)} field is required{condition and ' ' + condition}.")

    def text(self, name: str, maximum: int = 255) -> str | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.fail(name, f"The {_words(name)} field must be a string.")
        elif len(value) > maximum:
            self.fail(name, f"The {_words(name)} field must not be greater than {maximum} characters.")
        else:
            return value
        return None

    def required(self, name: str, maximum: int = 255) -> str:
        """Read a string of limited length; add an error and return an empty one if it is absent."""
        self.require(name)
        return self.text(name, maximum) or ""

    def choice(self, name: str, options: Collection[str]) -> str | None:
        return self._one_of(name, options, f"The selected {_words(name)} is invalid.")

    def _one_of(self, name: str, options: Collection[str], message: str) -> str | None:
        value = self._values.get(name)
        if isinstance(value, str) and value in options:
            return value
        if value is not None:
            self.fail(name, message)
        return None

    def boolean(self, name: str) -> bool | None:
        """Read a boolean, also in the words and digits of a form."""
        value = self._values.get(name)
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        if value is not None:
            self.fail(name, f"The {_words(name)} field must be true or false.")
        return None

    def integer(self, name: str, low: int, high: int) -> int | None:
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,18}", str(value), re.ASCII):
            self.fail(name, f"The {_words(name)} field must be an integer.")
            return None
        number = int(str(value))
        if not low <= number <= high:
            self.fail(name, f"The {_words(name)} field must be between {low} and {high}.")
            return None
        return number

    def timezone(self, name: str) -> str | None:
        return self._one_of(name, _timezones(), f"The {_words(name)} field must be a valid timezone.")

    def day(self, name: str) -> date | None:
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and _ISO_DATE.fullmatch(value):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        self.fail(name, f"The {_words(name)} field must match the format Y-m-d.")
        return None


def _words(name: str) -> str:
    return name.replace("_", " ")
