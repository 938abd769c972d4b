"""Checks of arguments, made before a request is spent. Each check returns the value in the form that is sent."""

import difflib
import json
import math
import re
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from enum import Enum
from ipaddress import ip_address
from os import PathLike, fspath
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from fathom_async._util.secrets import shown_url
from fathom_async._util.text import cut
from fathom_async.errors import ArgumentError, ConfigurationError


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING
"""The default of a parameter for which None is a value."""

NotGiven = Literal[Missing.MISSING]

MAX_PAGE = 100
"""The largest number of objects on a page of a list."""

_MOST = 2**64
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SHOWN = 80

Check = Callable[[str, object], object]
"""Takes a parameter's name and value; returns the value in the form that is sent, or raises `ArgumentError`."""


def body(checks: Mapping[str, Check], extra: object = None, /, **values: object) -> dict[str, object]:
    """Return a request's body of the parameters that were given: those that are not `MISSING`, at least one.

    `extra` is a JSON object of further fields, that are no parameters.
    """
    found = {name: checks[name](name, value) for name, value in values.items() if value is not MISSING}
    further = {} if extra is None else json_object("extra", extra)
    if name := next(filter(checks.__contains__, further), None):
        raise ArgumentError(f"extra has {name!r}, which is an argument of its own; write it there")
    if not found and not further:
        raise ArgumentError(f"nothing to send: give at least one of {', '.join(values)}")
    return found | further


def json_object(name: str, value: object) -> dict[str, object]:
    """Return a copy of a JSON object; reject what JSON cannot express."""
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{name} must be a mapping, not {value!r}")
    try:
        copy = json.loads(json.dumps(dict(cast("Mapping[str, object]", value)), allow_nan=False))
        msgspec.json.encode(copy)  # numbers of more than 64 bits, and half characters
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ArgumentError(f"{name} must hold JSON values only: {cut(str(error), _SHOWN)}") from None
    return cast("dict[str, object]", copy)


def seconds(name: str, value: object, *, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
        raise ArgumentError(f"{name} must be a number of seconds of at least {least:g}, not {value!r}")
    return value


def count(name: str, value: object, *, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < _MOST:
        raise ArgumentError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return value


def text(longest: int) -> Check:
    """Check a text of 1 to `longest` characters."""

    def check(name: str, value: object) -> str:
        if not isinstance(value, str):
            raise ArgumentError(f"{name} must be a string, not {value!r}")
        if not value.strip():
            raise ArgumentError(f"{name} must not be empty")
        encodable(name, value)
        if len(value) > longest:
            raise ArgumentError(f"{name} may have at most {longest} characters, not {len(value)}")
        return value

    return check


def choice(choices: Collection[str]) -> Check:

    def check(name: str, value: object) -> object:
        if value in choices:
            return value
        meant = similar(str(value), choices)
        close = f"; did you mean {meant!r}?" if meant else ""
        raise ArgumentError(f"{name} must be one of {', '.join(choices)}, not {value!r}{close}")

    return check


def nullable(check: Check) -> Check:
    """Accept None, and check everything else."""
    return lambda name, value: None if value is None else check(name, value)


def flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ArgumentError(f"{name} must be True or False, not {value!r}")
    return value


def timezone(name: str, value: object) -> object:
    if isinstance(value, str) and known_zone(value):
        return value
    raise ArgumentError(f"{name} must be a TZ database name, not {value!r}{similar_zone(str(value))}")


def similar_zone(name: str) -> str:
    """Return which time zone a wrong name may mean."""
    if not (zones := available_timezones()):
        return ", as this machine has no time zones; pip install tzdata"
    cities = {zone.rpartition("/")[2].lower(): zone for zone in zones}
    exact = cities | {zone.lower(): zone for zone in zones}
    found = exact.get(name.strip().lower().replace(" ", "_")) or similar(name.lower(), zones)
    return f"; did you mean {found!r}?" if found else "; write a TZ database name such as 'Europe/Berlin'"


def known_zone(name: str | None) -> ZoneInfo | None:
    """Return a time zone, or None if this machine does not know it."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


def site_zone(site_id: str, name: str) -> ZoneInfo:
    """Return the time zone of a site, as the API names it; fail if this machine does not know it."""
    if (zone := known_zone(name)) is None:
        raise ConfigurationError(
            f"this machine does not know {name!r}, the time zone of the site {site_id!r}: "
            "pip install --upgrade tzdata, or set the query's timezone"
        )
    return zone


def day(name: str, value: object) -> str:
    """Check a calendar day, given as a date or as ``YYYY-MM-DD``."""
    if isinstance(value, datetime):
        raise ArgumentError(f"{name} must be a date, not a datetime: write {name}={value.date()}")
    if isinstance(value, date):
        return value.isoformat()
    try:
        return date.fromisoformat(value if isinstance(value, str) else "").isoformat()
    except ValueError:
        raise ArgumentError(f"{name} must be a date or a string such as 2026-01-31, not {value!r}") from None


def identifier(name: str, value: object) -> str:
    """Check an id, cursor or name that goes into a query parameter."""
    if not isinstance(value, str) or not value.strip():
        raise ArgumentError(f"{name} must be a non-empty string, not {value!r}")
    return encodable(name, value)


def encodable(name: str, value: str) -> str:
    """Check that a text can be sent."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{name} contains half a surrogate pair: {value!r}") from None
    return value


def page_params(limit: int, starting_after: str | None, ending_before: str | None) -> dict[str, str]:
    """Check the parameters that all lists share, and return those that were given."""
    if starting_after is not None and ending_before is not None:
        raise ArgumentError("give starting_after or ending_before, not both")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise ArgumentError(f"limit must be a whole number from 1 to {MAX_PAGE}, not {limit!r}")
    cursors = {"starting_after": starting_after, "ending_before": ending_before}
    given = {name: identifier(name, cursor) for name, cursor in cursors.items() if cursor is not None}
    return {"limit": str(limit), **given}


def credential(what: str, value: object) -> str:
    """Check a token or key, which is sent in a header; the message does not show it."""
    if value is None or value == "":
        raise ArgumentError(f"{what} is missing: got {value!r}")
    if isinstance(value, str) and value.lower().startswith("bearer "):
        raise ArgumentError(f"{what} must be the token alone, without 'Bearer'")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise ArgumentError(f"{what} must be a string of ASCII characters without spaces")
    return value


def header_name(name: str, value: object) -> None:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ConfigurationError(f"{name} must be the name of a header, such as X-Api-Key, not {value!r}")


def header_text(what: str, value: object) -> str:
    """Check what a header says, which may be a secret: the message does not show it."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or value != value.strip():
        raise ConfigurationError(f"{what} must be a string of printable ASCII characters")
    return value


def authorization(value: object) -> str:
    """Check the header with the credentials; the message does not show it."""
    written = header_text("what the header with the credentials says", value)
    scheme, _, rest = written.partition(" ")
    try:
        is_right = bool(written) and (scheme.lower() != "basic" or b":" in b64decode(rest, validate=True))
    except ValueError:
        is_right = False
    if not is_right:
        raise ConfigurationError(
            "the credentials must not be empty, and those of Basic are base64 of user:password"
        )
    return written


def base_url(value: str) -> str:
    """Check the base URL of an API, and return it without a trailing slash.

    What is no URL, or would send the token in the clear to another machine, raises `ConfigurationError`.
    """
    parts = url_parts(value)
    is_http = parts is not None and parts.hostname and parts.scheme in ("http", "https")
    if parts is None or not is_http or not value.isprintable() or " " in value:
        raise ConfigurationError(f"{shown_url(value)} is not a URL: write e.g. https://host/path")
    if not {"?", "#"}.isdisjoint(value) or "@" in parts.netloc:
        raise ConfigurationError("the base URL must have no user, query or fragment")
    if parts.scheme == "http" and not _is_loopback(host := parts.hostname or ""):
        raise ConfigurationError(
            f"plain http to {host} would expose the credentials to the network: write https://"
        )
    return value.rstrip("/")


def file_path(value: str | PathLike[str]) -> Path:
    """Return a path with ``~`` expanded; one that no file can have raises `ConfigurationError`."""
    try:
        path = Path(value).expanduser()
        with suppress(OSError):  # what does not exist may be made
            path.lstat()
    except (ValueError, RuntimeError) as error:  # a null character, a surrogate, a user who does not exist
        raise ConfigurationError(f"{fspath(value)!r} cannot be a path: {error}") from None
    return path


def budget_url(value: str) -> str:
    """Check that it is a file's URL or a Redis or Valkey server's; no message shows it: it may hold a password."""
    parts = url_parts(value)
    if parts is None:
        fault = "the budget is not a URL"
    elif "sentinel" in parts.scheme:
        fault = "Redis Sentinel is not supported"
    elif parts.scheme == "unix":
        fault = "" if parts.path.strip("/") else "the budget's URL names no socket"
    elif parts.scheme in {"redis", "rediss", "valkey", "valkeys"}:
        fault = "" if parts.hostname else "the budget's URL names no host"
    elif parts.scheme != "file":
        fault = "the budget is not a URL of a known kind"
    elif parts.netloc not in {"", "localhost"} or not parts.path.strip("/") or parts.path.endswith("/"):
        fault = "the budget's URL names no file of this machine"
    elif not parts.path.startswith("/") or not unquote(parts.path).isprintable():
        fault = "the budget's URL must have the file's absolute path"
    else:
        fault = "the budget's URL must have no query or fragment" if parts.query or parts.fragment else ""
    if fault:
        raise ConfigurationError(
            f"{fault}: write file:///path/to/budget for the processes of one machine, "
            "or redis://host:6379/0 for those of many"
        )
    return value


def fail_or_share(name: str, value: object) -> None:
    """Check that a value is ``"fail"`` or a share of a limit."""
    if value != "fail" and not (isinstance(value, int | float) and 0 < value <= 1):
        raise ConfigurationError(f'{name} must be "fail" or a share of the limit such as 0.25, not {value!r}')


def url_parts(url: object) -> SplitResult | None:
    """Return the parts of a URL; None if it is not one."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        _ = parts and (parts.port, (parts.hostname or "").encode("idna"))  # checked on access
    except ValueError:
        return None
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def similar(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a misspelt one resembles most, if any."""
    options, plain = list(known), word.strip().lower().replace("-", "_")
    found = (difflib.get_close_matches(written, options, n=1) for written in (plain, word))
    return next((close[0] for close in found if close), None)


def suggestion(word: str, known: Collection[str]) -> str:
    """Return ``; did you mean 'x'?`` for a misspelt word, or the list of known words.

    >>> suggestion("page-view", ["visits", "pageviews"])
    "; did you mean 'pageviews'?"
    """
    close = similar(word, known)
    return f"; did you mean {close!r}?" if close else f"; there are: {', '.join(known)}"
