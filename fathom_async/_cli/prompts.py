"""Prompts, on standard error so that rows can be piped."""

import sys
from getpass import getpass

from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._util.text import one_line


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation.

    Args:
        question: What is about to happen, such as ``Delete the site CDBUGS``.
        yes: Whether ``--yes`` has confirmed it.

    Raises:
        CommandError: The answer is no, or there is no terminal to ask on.
    """
    if yes:
        return
    need_terminal()
    sys.stderr.write(f"{one_line(question)}? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    if answer.strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was changed")


def need_terminal() -> None:
    """Check that there is a terminal to confirm on.

    Raises:
        CommandError: There is none.
    """
    if not sys.stdin.isatty():
        raise CommandError("no terminal to confirm on; pass --yes", ExitCode.USAGE)


def secret(question: str) -> str:
    """Read a secret from a prompt without echo, or the first line of a pipe.

    Raises:
        CommandError: The input is empty.
    """
    typed = getpass(f"{question}: ", sys.stderr) if sys.stdin.isatty() else sys.stdin.readline()
    if not typed.strip():
        raise CommandError("nothing was given; type it, or pipe it in", ExitCode.USAGE)
    return typed.strip()
