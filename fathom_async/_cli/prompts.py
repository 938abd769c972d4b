"""Prompts, on standard error so that rows can be piped."""

import sys
from getpass import getpass

from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.settings import errors
from fathom_async._util.text import one_line


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation of what is about to happen, such as ``Delete the site CDBUGS``."""
    if yes:
        return
    need_terminal()
    errors().write(f"{one_line(question)}? [y/N] ")
    errors().flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        errors().write("\n")
    if answer.strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was changed")


def need_terminal() -> None:
    if not sys.stdin.isatty():
        raise CommandError("no terminal to confirm on; pass --yes", ExitCode.USAGE)


def secret(question: str) -> str:
    """Read a secret from a prompt without echo, or the first line of a pipe."""
    typed = getpass(f"{question}: ", errors()) if sys.stdin.isatty() else sys.stdin.readline()
    if not typed.strip():
        raise CommandError("nothing was given; type it, or pipe it in", ExitCode.USAGE)
    return typed.strip()
