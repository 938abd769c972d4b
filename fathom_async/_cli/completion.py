"""``fathom completion``."""

from typing import Literal


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Write the script that completes commands, options and their values in your shell.

    Args:
        shell: Which shell.
    """
    from fathom_async._cli.app import app  # noqa: PLC0415 - it is complete only once this module is asked for

    print(app.generate_completion(shell=shell))  # noqa: T201 - the command's output
