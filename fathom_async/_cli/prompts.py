"""Questions to whoever sits at the terminal; they go to standard error, so that rows can be piped."""

import sys
from getpass import getpass

from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._util.text import one_line


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if the person says yes.

    Args:
        question: What is about to happen, such as ``Delete the site CDBUGS``.
        yes: Whether they have said so already, with ``--yes``.

    Raises:
        CommandError: They said no, or there is nobody to ask.
    """
    if yes:
        return
    need_somebody()
    sys.stderr.write(f"{one_line(question)}? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    if answer.strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was changed")


def need_somebody() -> None:
    """See that somebody can be asked.

    Raises:
        CommandError: There is nobody.
    """
    if not sys.stdin.isatty():
        raise CommandError("no terminal to confirm on; pass --yes", ExitCode.USAGE)


def secret(question: str) -> str:
    """Return what is typed unseen, or the first line of what is piped in; it never is an argument.

    Raises:
        CommandError: There is nothing.
    """
    typed = getpass(f"{question}: ", sys.stderr) if sys.stdin.isatty() else sys.stdin.readline()
    if not typed.strip():
        raise CommandError("nothing was given; type it, or pipe it in", ExitCode.USAGE)
    return typed.strip()
