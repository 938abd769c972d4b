"""The command ``fathom``."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and return its exit code."""
    try:
        from fathom_async._cli.app import run  # noqa: PLC0415 - its imports are an extra, and take long

        return run(sys.argv[1:] if arguments is None else arguments)
    except (ModuleNotFoundError, KeyboardInterrupt) as error:
        from fathom_async._cli.failures import ended_by  # noqa: PLC0415 - so do its

        return ended_by(error)
