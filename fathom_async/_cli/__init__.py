"""The command ``fathom``."""

import sys
from collections.abc import Sequence

_EXTRA = frozenset({"rich", "cyclopts"})
_FAILED = 1
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own, and return its exit code."""
    try:
        from fathom_async._cli.app import run  # noqa: PLC0415 - its imports are an extra, and take long

        return run(sys.argv[1:] if arguments is None else arguments)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        return _ended(f'{missing} is not installed; pip install "fathom_async[cli]"', _FAILED)
    except KeyboardInterrupt:
        return _ended("interrupted", _INTERRUPTED)


def _ended(reason: str, code: int) -> int:
    sys.stderr.write(f"fathom: {reason}\n")
    return code
