"""Errors of job files, all reported at once."""

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager

import attrs

from fathom_async._reports.arguments import hint
from fathom_async.errors import ArgumentError

_SHOWN = 20


@attrs.frozen
class Fault:
    """One error in a job file.

    Args:
        place: The key, with its tables, such as ``job.top-pages.matrix.site_id``; empty for the whole file.
        message: The error, and what to write instead.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class JobFileError(ArgumentError):
    """A job file has errors; no request was sent. Also a `ValueError`.

    Args:
        file: The file's name.
        faults: All its errors.
    """

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        super().__init__(file, faults)
        self.file = file
        self.faults: tuple[Fault, ...] = tuple(faults)

    def __str__(self) -> str:
        if len(self.faults) == 1:
            return f"{self.file}: {self.faults[0]}"
        more = len(self.faults) - _SHOWN
        lines = [*map(str, self.faults[:_SHOWN]), *([f"and {more} more"] if more > 0 else [])]
        return "\n  ".join([f"{self.file} has {len(self.faults)} errors:", *lines])


class Faults:
    """Collects errors, each once."""

    def __init__(self) -> None:
        self._found: dict[Fault, None] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, place: str, message: str) -> None:
        self._found[Fault(place, message)] = None

    @contextmanager
    def at(self, place: str) -> Generator[None]:
        """Add what the block raises as an error of this place, and continue after it."""
        try:
            yield
        except ArgumentError as error:
            self.add(place, str(error))

    def check(self, file: str) -> None:
        """Raise `JobFileError` if there are any."""
        if self._found:
            raise JobFileError(file, tuple(self._found))


def no_such_key(key: str, known: Collection[str]) -> str:
    return f"unknown key{hint(key, known)}"
