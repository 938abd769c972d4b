"""The subcommands. Their modules are imported when they run: ``fathom --help`` must not wait for the client.

A command is a function, or a cyclopts `App` of subcommands, in a module of its own, and is registered by its import
path: ``app.command("fathom_async._cli.live:live", name="live", help="…")``. The help of the registration is the line
that ``fathom --help`` lists; what else is to be told goes into ``help_epilogue``, with an example. A command returns
its exit code, or None for 0, and raises: `run` turns whatever it raises into one line and an exit code.
"""

import io
import os
import sys
from collections.abc import Sequence
from typing import cast

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from fathom_async._cli import app_bulk
from fathom_async._cli.failures import ExitCode, ended_by
from fathom_async._util.text import one_line
from fathom_async._version import __version__


def _default(value: object) -> str | None:
    """Return how ``--help`` shows an option's default; what is off or empty needs no words."""
    if value is None or value is False or value == ():
        return None
    return ",".join(map(str, cast("tuple[object, ...]", value))) if isinstance(value, tuple) else str(value)


app = App(
    name="fathom",
    help="Look at Fathom Analytics from the command line, within its rate limits.",
    help_epilogue="""\
Examples:

  fathom login
  fathom sites list
  fathom report CDBUGS --by pathname --period 'last 30 days' --chart

The token comes from FATHOM_API_TOKEN or from the system's keyring (fathom login).""",
    version=__version__,
    suppress_keyboard_interrupt=False,
    help_format="plaintext",
    default_parameter=Parameter(show_default=_default, negative=()),
)
app.command(
    "fathom_async._cli.whoami:whoami",
    name="whoami",
    help="Show the account and what the token may do.",
    help_epilogue="Examples:\n\n  fathom whoami\n  fathom whoami --format json",
)
app.command(
    "fathom_async._cli.login:login",
    name="login",
    help="Keep an API token in the system's keyring.",
    help_epilogue="Examples:\n\n  fathom login\n  pass show fathom | fathom login",
)
app.command(
    "fathom_async._cli.login:logout",
    name="logout",
    help="Take the API token out of the system's keyring.",
    help_epilogue="Examples:\n\n  fathom logout",
)
app.command("fathom_async._cli.sites:sites", name="sites", help="List, get, create, update, delete sites.")
app.command("fathom_async._cli.events:events", name="events", help="List, create, change, delete events.")
app.command(
    "fathom_async._cli.milestones:milestones",
    name="milestones",
    help="List, get, create, update, delete milestones.",
)
app.command("fathom_async._cli.report:report", name="report", help="Report on the pageviews of a site.")
app.command(
    "fathom_async._cli.report:events_report",
    name="events-report",
    help="Report on the completions of an event.",
)
app.command("fathom_async._cli.sync:sync", name="sync", help="Carry events over to Secoda or Emma.")
app_bulk.register(app)
app.command(
    "fathom_async._cli.completion:completion",
    name="completion",
    help="Write the script that completes commands in your shell.",
    help_epilogue=(
        "Examples:\n\n"
        '  eval "$(fathom completion bash)"\n'
        "  fathom completion zsh > ~/.zfunc/_fathom\n"
        "  fathom completion fish > ~/.config/fish/completions/fathom.fish"
    ),
)
app.command(
    "fathom_async._cli.demonstration:demo",
    name="demo",
    help="Run a bulk job against an embedded server with the service's real limits.",
    help_epilogue="Examples:\n\n  fathom demo\n  fathom demo --access-log access.log.gz --reports 60",
)


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line, and return its exit code."""
    _reopen_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A bar that an old terminal cannot show is no reason to fail.
            stream.reconfigure(errors="replace")
    try:
        code: object = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        sys.stderr.write(f"fathom: {one_line(_told(error))}\n")
        return ExitCode.USAGE
    except BrokenPipeError:
        return _unread()
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return _unread()  # rich was told first
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a command never ends with a traceback
        return ended_by(error)
    return cast("int | None", code) or ExitCode.OK


def _told(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"too much: {' '.join(error.unused_tokens or ())}; --help shows what is taken"
    return str(error)


def _reopen_closed() -> None:
    """Let nobody read or write where the shell has closed a stream, as with ``>&-``: there is no terminal."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end


def _unread() -> ExitCode:
    """Who reads has enough: what is still buffered must not fail once more when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.BROKEN_PIPE
