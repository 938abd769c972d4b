"""Where an event loop's descriptors lead: to each other, or out of the process.

A TCP connection has both ends in one loop if two sockets of the loop have each other's port. Bytes are on their way
while one end has written more than the other has received, by the kernel's own counts (`TCP_INFO` of Linux 4.19;
elsewhere, bytes are assumed to arrive at once, as they nearly always do).
"""

import os
import socket
import struct
import sys
from collections.abc import Iterable, Mapping
from enum import Enum
from selectors import EVENT_READ, SelectorKey

from attrs import frozen

_CREDENTIALS = struct.Struct("3i")  # process, user, group
_COUNTS = struct.Struct("=128xQ8xI52xQQ")  # received, not sent yet, sent, of these sent again


@frozen
class _End:
    """One end of a TCP connection: its port and the other end's, bytes written into it, and bytes that arrived."""

    ports: tuple[int, int]
    written: int
    arrived: int


class _Other(Enum):
    QUIET = "becomes ready only by the loop's own doing"
    OUTSIDE = "leads out of the process, or to something unknown"


class Descriptors:
    """The descriptors that a loop has ever watched; the first one wakes it up."""

    def __init__(self) -> None:
        self._known: dict[int, None] = {}

    def add(self, fd: int) -> None:
        self._known[fd] = None

    def is_anything_coming(self, watched: Iterable[SelectorKey]) -> bool:
        """Tell whether one of these, none of which is ready, may become ready without the loop doing anything."""
        own = next(iter(self._known), None)
        keys = [key for key in watched if key.fd != own]
        if not keys:
            return False
        found = {fd: _examine(fd) for fd in self._known}
        ends = {end.ports: end for end in found.values() if isinstance(end, _End)}
        kept = {own, *(key.fd for key in keys)}
        self._known = {fd: None for fd in self._known if found[fd] is not _Other.OUTSIDE or fd in kept}
        return any(_may_become_ready(key, found[key.fd], ends) for key in keys)


def _may_become_ready(key: SelectorKey, end: _End | _Other, ends: Mapping[tuple[int, int], _End]) -> bool:
    if not isinstance(end, _End):
        return end is _Other.OUTSIDE
    here, there = end.ports
    other = ends.get((there, here))
    return other is None or bool(key.events & EVENT_READ and other.written > end.arrived)


def _examine(fd: int) -> _End | _Other:
    try:
        borrowed = socket.socket(fileno=fd)
    except OSError:  # no socket, or closed
        return _Other.OUTSIDE
    try:
        if borrowed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return _Other.QUIET
        if borrowed.family in (socket.AF_INET, socket.AF_INET6) and borrowed.type == socket.SOCK_STREAM:
            return _tcp_end(borrowed)
        return _Other.QUIET if _leads_to_this_process(borrowed) else _Other.OUTSIDE
    except OSError:  # not connected yet, or no longer
        return _Other.OUTSIDE
    finally:
        borrowed.detach()


def _tcp_end(connection: socket.socket) -> _End:
    ports = int(connection.getsockname()[1]), int(connection.getpeername()[1])
    counts = b""
    if sys.platform == "linux":
        counts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _COUNTS.size)
    if len(counts) < _COUNTS.size:
        return _End(ports, written=0, arrived=0)
    arrived, waiting, sent, again = _COUNTS.unpack(counts)
    return _End(ports, written=sent - again + waiting, arrived=arrived)


def _leads_to_this_process(connection: socket.socket) -> bool:
    if sys.platform != "linux":
        return False
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(peer)[0] == os.getpid())
