"""The subcommands. Their modules are imported when they run: ``fathom --help`` must not wait for the client.

A command is a function, or a cyclopts `App` of subcommands, and is registered by its import path, with the line that
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
from fathom_async._cli.formatting import ASCII, examples
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


def _add(path: str, help: str, *lines: str, more: str = "") -> None:
    """Register a command by its path below this package; an `App` has examples of its own."""
    name = path.partition(":")[2].replace("_", "-")
    epilogue = {"help_epilogue": examples(*lines, more=more)} if lines else {}
    app.command(f"fathom_async._cli.{path}", name=name, help=help, **epilogue)


_add(
    "account:whoami",
    "Show the account and what the token may do.",
    "fathom whoami",
    "fathom whoami --format json",
)
_add(
    "account:login",
    "Store an API token in the system's keyring.",
    "fathom login",
    "pass show fathom | fathom login",
)
_add("account:logout", "Remove the API token from the system's keyring.", "fathom logout")
_add("sites:sites", "List, get, create, update, delete sites.")
_add("events:events", "List, change, delete events.")
_add("milestones:milestones", "List, get, create, update, delete milestones.")
_add(
    "report:report",
    "Report on the pageviews of a site.",
    "fathom report CDBUGS --per day --last 30d --chart",
    "fathom report acme.com --per week --last 12w --compare previous",
    "fathom report CDBUGS --by pathname --where 'pathname matching ^/blog'",
    "fathom report CDBUGS --by pathname --period 'month to date' --compare previous",
    "fathom report CDBUGS --by country_code --from yesterday --totals --limit 20",
    "fathom report CDBUGS --by pathname --from 2026-01-01 --complete -o all.csv",
    "fathom report CDBUGS --by browser --per month --html browsers.html",
)
_add(
    "report:events_report",
    "Report on the completions of an event.",
    "fathom events-report CDBUGS 'Signed up to newsletter' --per month --chart",
    "fathom events-report CDBUGS purchase --metrics conversions,value --currency EUR --by city",
)
_add("sync:sync", "Sync events to Secoda or Emma.")
_add(
    "live.command:live",
    "Watch the current visitors of your sites.",
    "fathom live",
    "fathom live CDBUGS DAFFYD --every 120",
    "fathom live CDBUGS --rounds 1 --format jsonl | jq .visitors",
    more="Ctrl-C quits. Each refresh costs a request and a pageview per site. At most --share of the rate limit is "
    "spent, so many sites are refreshed less often than --every says.",
)
_add(
    "bulk.command:run",
    "Run the reports of a job file.",
    "fathom run jobs.toml",
    "fathom run jobs.toml --dataset all.parquet",
    "fathom run jobs.toml --dry-run",
    more="Exit codes: 0 all reports succeeded, 5 some failed, 130 interrupted. After 5 and 130, the same command "
    "resumes the run.",
)
_add(
    "bulk.command:plan",
    "Show what a job file would send and cost; nothing is sent.",
    "fathom plan jobs.toml",
    "fathom plan jobs.toml --format json",
)
_add(
    "backfill:backfill",
    "Update a table from a report, period by period.",
    "fathom backfill CDBUGS --target duckdb:stats.duckdb#pages --by pathname --since 2026-01-01",
    "fathom backfill CDBUGS DAFFYD --target parquet:visits --metrics visits --per month --since 2024-01-01",
    "fathom backfill CDBUGS --event purchase --target sqlite:stats.db#sales --since 2026-01-01",
    more="Run it from cron: it requests only periods that are new or may have changed.",
)
_add(
    "watch:watch",
    "Tell what is unusual, by rules, each alert once.",
    "fathom watch rules.toml",
    "fathom watch rules.toml --replay 90d",
    "FATHOM_WEBHOOK=https://host/path fathom watch rules.toml --every 1h",
    more="Run it from cron, or with --every as a service. Exit codes: 0 all rules were checked, and all alerts told; "
    "5 some were not, and the next check makes up for it.",
)
_add(
    "mcp:mcp",
    "Let a language model read your figures, over the Model Context Protocol.",
    "fathom mcp",
    "fathom mcp --max-requests 30",
    more="An assistant's program starts it: see docs/mcp.md. It changes nothing, and FATHOM_STORE keeps its answers.",
)
_add("store:store", "Delete cached answers.")
_add(
    "budget:budget",
    "Show what is left of the rate limits that programs share.",
    "fathom budget",
    "FATHOM_BUDGET=file:///var/run/fathom.budget fathom budget --format json",
    more="It sends no request.",
)
_add(
    "serve:serve",
    "Serve the Fathom API on this machine, to try things out.",
    "fathom serve",
    "fathom serve --port 8080 --access-log access.log.gz --no-limits",
    "fathom serve --plan hourly:600:5",
    more="Then, in another terminal: "
    "FATHOM_BASE_URL=http://127.0.0.1:8080/v1 FATHOM_API_TOKEN=any fathom sites list",
)
_add(
    "demo:demo",
    "Run a bulk job against an embedded server with the service's real limits.",
    "fathom demo",
    "fathom demo --access-log access.log.gz --reports 60",
)


_add(
    "config:config",
    "Show the settings, and where they come from.",
    "fathom config",
    "fathom config --format json",
    more="They come from an option, else from the environment, else from config.toml, which holds no token.",
)
_add(
    "completion:completion",
    "Write or install the script that completes commands in your shell.",
    "fathom completion --install",
    "fathom completion zsh --install",
    'eval "$(fathom completion bash)"',
)


app.meta.suppress_keyboard_interrupt = False


@app.meta.default
def _with_options(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    plan: Annotated[
        str | None,
        Parameter(
            help="The account's rate plan: classic, or such as hourly:600:5 for 600 requests an hour, 5 at once. By "
            "default that of FATHOM_PLAN; without it, what the server's answers show."
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
        sys.stderr.write(f"fathom: {one_line(_message_of(error))}\n")
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
