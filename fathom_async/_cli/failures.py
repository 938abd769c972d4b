"""How a command ends: its exit codes, and the one line that says what went wrong and what to do."""

import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Final
from urllib.parse import unquote, urlsplit

from fathom_async._cli.formatting import duration, tell
from fathom_async._util.tasks import first_of
from fathom_async._util.text import one_line, printable

DEBUG: Final = "FATHOM_DEBUG"
_EXTRA: Final = frozenset({"rich", "cyclopts"})
_BASE_URL: Final = re.compile(r"\b[Tt]he base URL\b")
_API: Final = re.compile(r"/v\d+/")
_PART: Final = re.compile(r"/sites/(?P<site>[^/]+)/(?P<kind>events|milestones)(?P<rest>/.)?")
_TOKENS: Final = "https://app.usefathom.com/api"


class ExitCode(IntEnum):
    """Exit codes, as ``docs/command-line.md`` lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNAUTHENTICATED = 3
    NOT_FOUND = 4
    SOME_FAILED = 5
    BUSY = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class CommandError(Exception):
    """A command cannot go on.

    Args:
        message: What is wrong and what to do, in one line without a full stop.
        code: Exit code of the process.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message, code)
        self.message = message
        self.code = code

    def __str__(self) -> str:
        return self.message


class TerminatedError(KeyboardInterrupt):
    """SIGTERM asked the process to end; it cleans up as on Ctrl-C."""


def interruption(error: KeyboardInterrupt) -> ExitCode:
    """Return the exit code of a command that was interrupted or terminated."""
    return ExitCode.TERMINATED if isinstance(error, TerminatedError) else ExitCode.INTERRUPTED


def ended_by(error: BaseException) -> ExitCode:
    """Write the line about an error to standard error, and return the exit code.

    With ``FATHOM_DEBUG`` set, the traceback comes first. Output that is left, and cannot be written, is given up: the
    interpreter would try again as it exits.
    """
    failure = failure_of(error)
    with suppress(OSError):
        if os.environ.get(DEBUG):
            lines = "".join(traceback.format_exception(error)).split("\n")
            sys.stderr.write("\n".join(map(printable, lines)))
        tell(sys.stderr, failure.message)
        sys.stderr.flush()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return failure.code


def failure_of(error: BaseException) -> CommandError:
    """Return an error as the user sees it, or the first one of a group."""
    error = first_of(error)
    if isinstance(error, CommandError):
        return CommandError(one_line(error.message), error.code)
    if isinstance(error, KeyboardInterrupt):
        told = "terminated" if isinstance(error, TerminatedError) else "interrupted"
        return CommandError(told, interruption(error))
    for failure in (_of_this_package, _of_the_system):
        if found := failure(error):
            return found
    return CommandError(
        one_line(f"unexpected {type(error).__name__}: {error}; set {DEBUG}=1 to see where it comes from"),
        ExitCode.FAILED,
    )


def _of_the_system(error: BaseException) -> CommandError | None:
    if isinstance(error, ImportError):
        if isinstance(error.__cause__, ImportError):  # of a command's module
            error = error.__cause__
        missing = (error.name or "").partition(".")[0]
        told = (
            f'{missing} is not installed; pip install "fathom_async[cli]"'
            if missing in _EXTRA
            else str(error)
        )
        return CommandError(one_line(told), ExitCode.FAILED)
    if isinstance(error, OSError):
        where = "" if error.filename is None else f"{error.filename}: "
        return CommandError(one_line(f"{where}{error.strerror or error}"), ExitCode.FAILED)
    return None


def _of_this_package(error: BaseException) -> CommandError | None:
    import fathom_async as errors  # noqa: PLC0415 - it takes long, and `fathom --help` has no errors
    from fathom_async.jobs import JobFileError  # noqa: PLC0415

    if not isinstance(error, errors.FathomError):
        return None
    if isinstance(error, JobFileError):  # one fault a line, so that all can be fixed at once
        return CommandError("\n".join(map(one_line, str(error).split("\n"))), ExitCode.USAGE)
    code, advice = next(
        (code, advice(error) if callable(advice) else advice)
        for kind, code, advice in _advice()
        if isinstance(error, kind)
    )
    told = _BASE_URL.sub("FATHOM_BASE_URL", str(error))
    is_told = "FATHOM_BASE_URL" in told and "FATHOM_BASE_URL" in advice
    return CommandError(one_line(told if is_told or not advice else f"{told}; {advice}"), code)


def _advice() -> list[tuple[type[Exception], ExitCode, str | Callable[[Exception], str]]]:
    import fathom_async as errors  # noqa: PLC0415

    return [
        (errors.ArgumentError, ExitCode.USAGE, ""),
        (
            errors.AuthenticationError,
            ExitCode.UNAUTHENTICATED,
            f"run `fathom login`, or set FATHOM_API_TOKEN, with a token from {_TOKENS}",
        ),
        (
            errors.PermissionDeniedError,
            ExitCode.UNAUTHENTICATED,
            "`fathom whoami` shows what this token may do",
        ),
        (errors.NotFoundError, ExitCode.NOT_FOUND, _look_up),
        (errors.GoneError, ExitCode.NOT_FOUND, ""),
        (errors.BulkError, ExitCode.SOME_FAILED, "run the same command again for the rest"),
        (errors.RateLimitError, ExitCode.BUSY, _again),
        (errors.WaitTooLongError, ExitCode.BUSY, ""),
        (errors.ServerError, ExitCode.FAILED, _later),
        (errors.TimeoutError, ExitCode.FAILED, "try again, or ask for less at once"),
        (errors.OutageError, ExitCode.FAILED, "try again later, or check the network and FATHOM_BASE_URL"),
        (errors.ConnectError, ExitCode.FAILED, "check the network and FATHOM_BASE_URL"),
        (errors.DecodeError, ExitCode.FAILED, "check that FATHOM_BASE_URL is an API's address"),
        (errors.BudgetError, ExitCode.FAILED, "check FATHOM_BUDGET"),
        (errors.FathomError, ExitCode.FAILED, ""),
    ]


def _look_up(error: Exception) -> str:
    path = urlsplit(getattr(error, "url", "")).path
    if not _API.search(path):
        return "check FATHOM_BASE_URL: an API's address ends in /v1"
    found = _PART.search(path)
    if found and (found["rest"] or getattr(error, "method", "") == "DELETE"):  # events are deleted by name
        site = shlex.quote(unquote(found["site"]))
        return f"check the name or ID: `fathom {found['kind']} list {site}` shows the {found['kind']} of this site"
    return "check the ID: `fathom sites list` shows the sites of this token"


def _later(error: Exception, otherwise: str = "later") -> str:
    seconds: float | None = getattr(error, "retry_after", None)
    return f"try again {otherwise if seconds is None else f'in {duration(seconds)}'}"


def _again(error: Exception) -> str:
    return f"another program uses the same limit: {_later(error, 'in a minute')}, or let both share FATHOM_BUDGET"
