"""A shared window in a file, for the processes of one machine.

The file has one section for each lane of each account. A command takes the file's lock (the kernel drops it when its
holder dies), copies the section's live half over the other one, changes that, and makes it the live one with one
byte: a process that is killed in the middle has changed nothing. Times are those of the machine's monotonic clock,
which all processes share and nobody can set; it restarts at boot, and then old entries are forgotten.

No process waits for the lock, because its holder may have been stopped. A timer retries commands that find it taken a
moment later, in order.
"""

import asyncio
import fcntl
import mmap
import os
import re
import stat
import struct
import sys
import time
import weakref
from collections import deque
from pathlib import Path

from fathom_async._ratelimit.shared.commands import Command, QuotaConfig, Result
from fathom_async._ratelimit.shared.protocol import FORMAT, Done, Health, Listener, other_format, other_limit
from fathom_async._ratelimit.shared.state import SharedState, size_of
from fathom_async._util.clock import Clock
from fathom_async.errors import BudgetError, ConfigurationError, FathomError

if sys.platform == "win32":  # type checkers believe that Windows has an empty `fcntl`
    raise ImportError("a budget in a file needs a POSIX system")

_FORMAT = re.compile(rb"fathom budget (\d+)\n")
_HEADER = (b"fathom budget %d\n" % FORMAT).ljust(
    24, b"\0"
)  # so that no section begins where one of format 1 could
_SECTION = struct.Struct("<32sIB3xdQ8x")  # key, requests, live half, seconds, bytes
_LIVE_AT = 36
_ATTEMPTS = 20
_FIRST_RETRY, _LAST_RETRY = 0.001, 0.5
_OPEN_WITHIN = 2.0


class _BusyError(Exception):
    """Another process holds the lock."""


class FileStore:
    """Carries out commands in one section of a file; used from one event loop.

    It creates the file with mode 0600, and raises `ConfigurationError` if that is no budget file, cannot be opened,
    or holds the same budget with another limit.
    """

    reply_time = 0.0

    def __init__(self, path: str, key: str, terms: QuotaConfig, *, clock: Clock) -> None:
        self._path = path
        self._key = key.encode("ascii")
        self._terms = terms
        self._clock = clock
        self._pending: deque[tuple[Command, Done | None]] = deque()
        self._health = Health()
        self._timer: asyncio.TimerHandle | None = None
        self._retry = _FIRST_RETRY
        self._is_running = False
        self._is_closed = False
        self._epoch = self._total = 0
        self._pid = 0
        self._closing: weakref.finalize[[int], FileStore] | None = None
        give_up = time.monotonic() + _OPEN_WITHIN
        while True:
            try:
                self._close()
                self._open(time.monotonic() * clock.speed)
                break
            except _BusyError:
                if time.monotonic() > give_up:
                    raise ConfigurationError(f"another process keeps {path} locked") from None
                time.sleep(_FIRST_RETRY)
            except FileNotFoundError:
                raise ConfigurationError(
                    f"there is no directory {Path(path).parent} for the budget; create it first"
                ) from None
            except OSError as error:
                raise ConfigurationError(f"cannot use {path} as a budget file: {error.strerror}") from None

    def listen(self, listener: Listener) -> None:
        self._health.listen(listener)

    def rekey(self, key: str) -> None:
        self._key = key.encode("ascii")
        self._epoch = self._total = 0
        self._close()

    def submit(self, step: Command, done: Done | None = None) -> None:
        if not self._is_closed:
            self._pending.append((step, done))
            if self._timer is None and not self._is_running:
                self._run()

    def peek(self, step: Command) -> Result | None:
        """Return what a look would, without a change to the file; None while another process has its lock."""
        if self._is_closed or self._pid != os.getpid():
            return None
        try:
            self._lock(self._fd)
        except _BusyError:
            return None
        try:
            if self._is_stale():
                return None
            copy = bytearray(self._halves[self._map[self._at + _LIVE_AT] & 1])
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        state = SharedState(memoryview(copy).cast("d"), self._terms)
        return state.step(step, self._clock.now())

    async def aclose(self) -> None:
        if self._timer is not None:
            self._run()
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._close()

    def _run(self) -> None:
        self._timer = None
        self._is_running = True
        try:
            while self._pending:
                step, done = self._pending[0]
                outcome = self._try(step, full=done is not None)
                if not isinstance(outcome, Result):
                    self._later(outcome)
                    return
                self._pending.popleft()
                self._health.worked()
                self._retry = _FIRST_RETRY
                if done is not None:
                    done(outcome)
        finally:
            self._is_running = False

    def _try(self, step: Command, *, full: bool) -> Result | FathomError:
        try:
            return self._step(step, full=full)
        except _BusyError:
            return BudgetError(f"another process keeps {self._path} locked")
        except FathomError as error:
            return error
        except (OSError, ValueError, OverflowError) as error:
            return BudgetError(f"the budget file {self._path} cannot be used: {error}")

    def _later(self, error: FathomError) -> None:
        loop = asyncio.get_running_loop()
        if self._health.failed(error, loop.time()):
            dropped = [(step, done) for step, done in self._pending if step.action in ("ask", "look")]
            kept = [(step, done) for step, done in self._pending if step.action not in ("ask", "look")]
            look = Command("look", owner=1, plan=self._pending[0][0].plan)
            self._pending = deque(kept or [(look, None)])
            for _, done in dropped:
                if done is not None:
                    done(None)
        self._timer = loop.call_later(self._retry, self._run)
        self._retry = min(2 * self._retry, _LAST_RETRY)

    def _step(self, step: Command, *, full: bool) -> Result:
        if self._pid != os.getpid():  # a fork shares the lock, which would exclude nobody
            self._close()
            self._open(self._clock.now())
        self._lock(self._fd)
        try:
            if not self._is_stale():
                return self._carry_out(step, full=full)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        self._close()
        return self._step(step, full=full)

    def _carry_out(self, step: Command, *, full: bool) -> Result:
        live = self._map[self._at + _LIVE_AT] & 1
        self._halves[1 - live][:] = self._halves[live]
        reply = self._pools[1 - live].step(step, self._clock.now(), self._epoch, self._total, full=full)
        self._map[self._at + _LIVE_AT] = 1 - live
        self._epoch, self._total = reply.epoch, reply.total
        return reply

    def _is_stale(self) -> bool:
        """Whether the path names another file or none by now, or the file was truncated or laid out anew."""
        opened = os.fstat(self._fd)
        try:
            named = os.lstat(self._path)
        except OSError:  # to open it again tells what is wrong
            return True
        return (
            not os.path.samestat(opened, named)
            or opened.st_size < len(self._map)
            or self._map[: len(_HEADER)] != _HEADER
            or self._map[self._at : self._at + len(self._key)] != self._key
        )

    def _open(self, now: float) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._path, flags, 0o600)
        self._closing = weakref.finalize(self, os.close, fd)
        self._fd = fd
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ConfigurationError(
                f"{self._path} is not a file: name one for the budget, such as /var/tmp/fathom"
            )
        self._lock(fd)
        try:
            self._at = self._find_section(fd, now)
            self._map = mmap.mmap(fd, self._at + self._section_size())
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)
        numbers = memoryview(self._map)[self._at + _SECTION.size :].cast("d")
        size = size_of(self._terms.requests)
        self._halves = numbers[:size], numbers[size:]
        self._pools = SharedState(self._halves[0], self._terms), SharedState(self._halves[1], self._terms)
        self._pid = os.getpid()

    def _close(self) -> None:
        self._pid = 0
        if self._closing is not None:
            self._closing()

    def _lock(self, fd: int) -> None:
        for _ in range(_ATTEMPTS):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.sched_yield() if hasattr(os, "sched_yield") else None
            else:
                return
        raise _BusyError

    def _section_size(self) -> int:
        return _SECTION.size + 2 * 8 * size_of(self._terms.requests)

    def _find_section(self, fd: int, now: float) -> int:
        """Return the offset of our section; append it if it is missing."""
        end = os.fstat(fd).st_size
        if not end:
            _write(fd, _HEADER, 0)
        elif (header := os.pread(fd, len(_HEADER), 0)) != _HEADER:
            if other := _FORMAT.match(header):
                raise other_format(self._path, int(other[1]))
            raise ConfigurationError(
                f"{self._path} is not a budget file: name another path, it is left as it is"
            )
        at = len(_HEADER)
        while at < end:
            key, requests, live, per, size = self._read_section(fd, at, end)
            if not size:  # its writer was killed
                break
            if key == self._key:
                if (requests, per) == (self._terms.requests, self._terms.per):
                    return at
                half = 8 * size_of(requests)
                memory = os.pread(fd, half, at + _SECTION.size + (live & 1) * half)
                self._check_idle(memory, QuotaConfig(requests, per, per, per, per), now)
                _write(fd, bytes(len(self._key)), at)  # no process finds it any more
            at += size
        entry = _SECTION.pack(self._key, self._terms.requests, 0, self._terms.per, self._section_size())
        # The content is written and not only sized, so that a full disk is an error here instead of a crash later;
        # the entry comes last, so that a section counts only when it is complete.
        _write(fd, bytes(self._section_size() - len(entry)), at + len(entry))
        _write(fd, entry, at)
        return at

    def _read_section(self, fd: int, at: int, end: int) -> tuple[bytes, int, int, float, int]:
        entry = os.pread(fd, _SECTION.size, at)
        if len(entry) == _SECTION.size:
            key, requests, live, per, size = _SECTION.unpack(entry)
            if not any(entry) or (at + size <= end and size == _SECTION.size + 2 * 8 * size_of(requests)):
                return key, requests, live, per, size
        raise ConfigurationError(f"{self._path} is damaged: delete it when no process uses it")

    def _check_idle(self, memory: bytes, terms: QuotaConfig, now: float) -> None:
        if not SharedState(memoryview(memory).cast("d"), terms).is_idle(now):
            raise other_limit(terms.requests, terms.per, self._terms.requests, self._terms.per)


def _write(fd: int, content: bytes, at: int) -> None:
    while content:
        written = os.pwrite(fd, content, at)
        content, at = content[written:], at + written
