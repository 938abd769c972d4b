"""Errors of the client in the words of the command line: they name options, where Python has parameters."""

import re
from collections.abc import Sequence
from typing import Final

from fathom_async import ArgumentError, NetworkSettingsError
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async.jobs import JobFileError

_OPTIONS: Final = {
    "aggregates": "--metrics",
    "field_grouping": "--by",
    "date_grouping": "--per",
    "date_from": "--from",
    "date_to": "--to",
    "sort_by": "--sort",
    "limit": "--limit",
    "timezone": "--timezone",
    "filters": "--where",
    "milestone_date": "--date",
    "share_password": "the password",
    "multi_domain_option": "--multi-domain",
    "since": "--since",
    "until": "--until",
    "look_back": "--look-back",
    "timestamp": "date",
    "PageviewQuery": "`fathom report`",
    "EventQuery": "`fathom events-report`",
}
_IN_PYTHON: Final = "query.over('last 30 days', now=...)"
_PARAMETER: Final = re.compile(
    rf"\b({'|'.join(_OPTIONS)})\b(?:=\[(?P<names>'[^\]]*')\]|(?P<is_set>=(?=')))?(?!-)"
)
_FIRST: Final = re.compile(r"(?P<is_event>entity_)?name\b")


def in_options(error: BaseException, words: Sequence[str]) -> BaseException:
    """Return an error about an argument as one about what was typed; the fields of a job file keep their names."""
    if not isinstance(error, ArgumentError) or isinstance(error, JobFileError | NetworkSettingsError):
        return error  # the latter quotes a URL

    def option(found: re.Match[str]) -> str:
        names = (found["names"] or "").replace("'", "").replace(" ", "")
        return _OPTIONS[found[1]] + (f" {names}" if names else " " if found["is_set"] else "")

    def first(found: re.Match[str]) -> str:
        name = "event" if found["is_event"] else "name"
        return f"--{name}" if f"--{name}" in words else name.upper()

    told = _PARAMETER.sub(option, str(error).replace(_IN_PYTHON, "--period 'last 30 days'"))
    told = first(found) + told[found.end() :] if (found := _FIRST.match(told)) else told
    made = CommandError(told, ExitCode.USAGE)
    made.__cause__ = error
    return made
