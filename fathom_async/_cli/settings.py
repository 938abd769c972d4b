"""Settings: of an option, else of the environment, else of the file ``config.toml``.

The file sets variables of the environment that are not set. One that is set to nothing stays so: ``FATHOM_BUDGET=``
turns off what the file says.
"""

import os
import sys
import tomllib
from collections.abc import Generator, Mapping, MutableMapping
from contextlib import contextmanager, redirect_stderr
from contextvars import ContextVar
from pathlib import Path
from typing import Final, TextIO

from fathom_async._cli.failures import CommandError, ExitCode

SITE: Final = "FATHOM_SITE"
PLAN: Final = "FATHOM_PLAN"
BUDGET: Final = "FATHOM_BUDGET"
STORE: Final = "FATHOM_STORE"
WEBHOOK: Final = "FATHOM_WEBHOOK"
VERBOSE: Final = "FATHOM_VERBOSE"
VARIABLES: Final = {
    "site": SITE,
    "plan": PLAN,
    "budget": BUDGET,
    "store": STORE,
    "base_url": "FATHOM_BASE_URL",
}
LIST: Final = "?"
"""What ``--json`` has where no columns were given."""

_ERRORS: Final[ContextVar[TextIO | None]] = ContextVar("errors", default=None)


@contextmanager
def quietly() -> Generator[None]:
    """Discard what is written to standard error in the block, except `errors`."""
    token = _ERRORS.set(sys.stderr)
    try:
        with open(os.devnull, "w", encoding="utf-8") as nothing, redirect_stderr(nothing):  # noqa: PTH123
            yield
    finally:
        _ERRORS.reset(token)


def errors() -> TextIO:
    """Return standard error, also of a command that is quiet."""
    return _ERRORS.get() or sys.stderr


def config_file(environ: Mapping[str, str]) -> Path:
    """Return where the file is, or would be."""
    folder = environ.get("XDG_CONFIG_HOME") or (environ.get("APPDATA") if sys.platform == "win32" else None)
    return (Path(folder) if folder else Path.home() / ".config") / "fathom" / "config.toml"


def read_config(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the file says, by variable; nothing if there is no file."""
    file = config_file(environ)
    try:
        written = tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise CommandError(f"{file} is no TOML: {error}", ExitCode.USAGE) from None
    for key, value in written.items():
        if key not in VARIABLES:
            from fathom_async._util.checks import suggestion  # noqa: PLC0415 - `fathom --help` has no errors

            login = "; store the token by `fathom login`, which encrypts it"
            told = login if "token" in key else suggestion(key, VARIABLES)
            raise CommandError(f"{file} has the unknown key {key}{told}", ExitCode.USAGE)
        if not isinstance(value, str):
            raise CommandError(f'{file}: write {key} = "…", a text in quotes', ExitCode.USAGE)
    return {VARIABLES[key]: value for key, value in written.items()}


def load_config(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables that are not set to what the file says."""
    for name, value in read_config(environ).items():
        environ.setdefault(name, value)
