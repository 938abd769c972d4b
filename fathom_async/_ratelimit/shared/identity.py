"""Who asks a shared window, and by which numbers it knows its permits."""

import os
import secrets

_SERIALS = 20
_MOST = (1 << 32) - 1


class Identity:
    """This process's number in the queue, and the numbers of its permits; a fork is another process."""

    def __init__(self) -> None:
        self._pid = self._owner = self._next = 0

    @property
    def owner(self) -> int:
        """The process's number, which is never 0."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._owner = secrets.randbelow(_MOST) + 1
            self._next = (secrets.randbelow(_MOST) + 1) << _SERIALS
        return self._owner

    def numbers(self, count: int) -> tuple[int, int]:
        """Return the process's number, and the first of so many that no other permit has."""
        owner, first = self.owner, self._next
        self._next += count
        return owner, first
