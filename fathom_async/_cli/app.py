"""The subcommands. Their modules are imported when they run: ``fathom --help`` must not wait for the client.

A command is a function, or a cyclopts `App` of subcommands. ``commands.toml`` names its module, with the line that
``fathom --help`` lists and with examples. It returns its exit code, or None for 0; `run` turns whatever it raises
into one line and an exit code.
"""

import io
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import Annotated, cast

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from fathom_async import __version__
from fathom_async._cli.failures import ExitCode, ended_by
from fathom_async._cli.formatting import ASCII, COMMANDS, epilogue, examples, tell
from fathom_async._cli.settings import LIST, PLAN, VERBOSE, load_config, quietly
from fathom_async._util.text import one_line


def _default(value: object) -> str | None:
    """Return an option's default as ``--help`` shows it; None where it is off or empty."""
    if value is None or value is False or value == ():
        return None
    return ",".join(map(str, cast("tuple[object, ...]", value))) if isinstance(value, tuple) else str(value)


app = App(
    name="fathom",
    help="Look at Fathom Analytics from the command line, within its rate limits.",
    help_epilogue=examples(
        "fathom login",
        "fathom sites list",
        "fathom report acme.com --by pathname --last 30d --chart",
        more="The token comes from FATHOM_API_TOKEN or from the system's keyring (fathom login).",
    ),
    version=__version__,
    suppress_keyboard_interrupt=False,
    help_format="plaintext",
    default_parameter=Parameter(show_default=_default, negative=()),
)


for _name, _told in COMMANDS.items():
    _is_app = any(isinstance(each, dict) for each in _told.values())  # which has the text itself
    app.command(
        f"fathom_async._cli.{_told['module']}:{_name.replace('-', '_')}",
        name=_name,
        help=_told["help"],
        **({} if _is_app else {"help_epilogue": epilogue(_name)}),
    )

app.meta.suppress_keyboard_interrupt = False


@app.meta.default
def _with_options(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    plan: Annotated[
        str | None,
        Parameter(
            help="The account's rate plan: classic, or such as hourly:600:5 for 600 requests an hour, 5 at once. By "
            "default that of FATHOM_PLAN; without it, what the server's answers show, or classic for serve."
        ),
    ] = None,
    quiet: Annotated[
        bool, Parameter(name=("--quiet", "-q"), help="Write nothing but the result and errors.")
    ] = False,
    verbose: Annotated[
        bool, Parameter(name=("--verbose", "-v"), help="Tell on standard error what becomes of each request.")
    ] = False,
) -> object:
    """Carry out a command with the options that all commands have."""
    if plan is not None:
        os.environ[PLAN] = plan
    if verbose:
        os.environ[VERBOSE] = "1"
    load_config()
    with quietly() if quiet else nullcontext():
        return cast(
            "object", app(words, exit_on_error=False, print_error=False, result_action="return_value")
        )


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line, and return its exit code."""
    _reopen_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ASCII)
    try:
        code: object = app.meta(
            _listing(arguments), exit_on_error=False, print_error=False, result_action="return_value"
        )
        sys.stdout.flush()
    except CycloptsError as error:
        tell(sys.stderr, one_line(_message_of(error)))
        return ExitCode.USAGE
    except BrokenPipeError:
        return _unread()
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return _unread()  # rich has met the closed pipe
    except KeyboardInterrupt as error:
        return ended_by(error)
    except Exception as error:  # noqa: BLE001 - a command never ends with a traceback
        return ended_by(_in_options(error, arguments))
    return cast("int | None", code) or ExitCode.OK


def _listing(arguments: Sequence[str]) -> list[str]:
    """Return the arguments, with a value for ``--json`` where it has none and lists the columns."""
    return [
        f"{word}={LIST}" if word == "--json" and follower.startswith("-") else word
        for word, follower in pairwise((*arguments, "-"))
    ]


def _in_options(error: Exception, arguments: Sequence[str]) -> BaseException:
    try:
        from fathom_async._cli.options import in_options  # noqa: PLC0415 - it loads the client, as errors do
    except ImportError:
        return error
    return in_options(error, arguments)


def _message_of(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument: {' '.join(error.unused_tokens or ())}; see --help"
    return str(error).replace("into timedelta.", "into a length of time; write 15m, 1h or 90d")


def _reopen_closed() -> None:
    """Open the null device in place of streams that the shell has closed, as with ``>&-``."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end


def _unread() -> ExitCode:
    """The reader closed the pipe (``… | head``): discard what is buffered, which would fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.BROKEN_PIPE
