"""Descriptors that may become ready by themselves: external ones, and those with bytes in transit."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from selectors import EVENT_READ, EVENT_WRITE, SelectorKey

import pytest
from attrs import frozen

from fathom_async.testing._descriptors import Descriptors


@frozen
class Watched:
    """A loop's view of a few descriptors."""

    descriptors: Descriptors
    stack: ExitStack

    def note(self, *sockets: socket.socket) -> None:
        for each in sockets:
            self.stack.enter_context(closing(each))
            self.descriptors.add(each.fileno())

    def is_anything_coming(self, to: int, events: int = EVENT_READ) -> bool:
        return self.descriptors.is_anything_coming([SelectorKey(to, to, events, None)])


@pytest.fixture
def watched() -> Iterator[Watched]:
    with ExitStack() as stack:
        found = Watched(Descriptors(), stack)
        found.note(*socket.socketpair())
        yield found


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.create_connection(server.getsockname()), server.accept()[0]


def fill(sender: socket.socket) -> None:
    """Write until neither the kernel nor the receiver takes any more."""
    sender.setblocking(False)
    while True:
        sender.send(bytes(1_000_000))


def test_both_ends_of_a_connection_are_quiet_when_all_was_read(watched: Watched) -> None:
    one, other = connected()
    watched.note(one, other)
    one.sendall(b"hello")
    assert other.recv(5) == b"hello"
    assert not watched.is_anything_coming(to=one.fileno())
    assert not watched.is_anything_coming(to=other.fileno())


def test_bytes_that_were_written_and_have_not_arrived_are_coming_to_who_reads(watched: Watched) -> None:
    one, other = connected()
    watched.note(one, other)
    with pytest.raises(BlockingIOError):
        fill(one)
    assert watched.is_anything_coming(to=other.fileno())
    assert not watched.is_anything_coming(to=other.fileno(), events=EVENT_WRITE)


def test_a_connection_whose_other_end_the_loop_does_not_have_leads_out(watched: Watched) -> None:
    one, other = connected()
    watched.note(one)
    with closing(other):
        assert watched.is_anything_coming(to=one.fileno())


def test_a_connection_whose_other_end_was_closed_has_its_end_to_come(watched: Watched) -> None:
    one, other = connected()
    watched.note(one, other)
    other.close()
    assert watched.is_anything_coming(to=one.fileno())


def test_a_connection_that_is_being_made_leads_out(watched: Watched) -> None:
    watched.note(unconnected := socket.socket())
    assert watched.is_anything_coming(to=unconnected.fileno(), events=EVENT_WRITE)


def test_a_listening_socket_waits_for_others(watched: Watched) -> None:
    watched.note(server := socket.create_server(("127.0.0.1", 0)))
    assert not watched.is_anything_coming(to=server.fileno())


def test_a_local_socket_to_this_process_is_quiet(watched: Watched) -> None:
    one, other = socket.socketpair()
    watched.note(one, other)
    assert not watched.is_anything_coming(to=one.fileno())


def test_a_pipe_leads_out(watched: Watched) -> None:
    reading, writing = os.pipe()
    watched.descriptors.add(reading)
    watched.stack.callback(os.close, reading)
    watched.stack.callback(os.close, writing)
    assert watched.is_anything_coming(to=reading)


def test_the_loops_own_wake_up_call_does_not_count(watched: Watched) -> None:
    assert not watched.descriptors.is_anything_coming([])
