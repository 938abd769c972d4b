"""Batches of events, and their results."""

from collections.abc import Iterable, Sequence

from attrs import frozen

from fathom_async.connectors.emma._models import MemberEvent, NewMemberEvent
from fathom_async.errors import ArgumentError, ClosedError, DecodeError, FathomError
from fathom_async.service import was_perhaps_done

MAX_BATCH = 10
"""The most events in one request."""


@frozen
class Batch:
    """The result of one request with up to ten events.

    Attributes:
        events: The events to create.
        created: The created events, in the same order; none if there is an error.
        error: Why the request failed; None if it did not.
    """

    events: tuple[NewMemberEvent, ...]
    created: tuple[MemberEvent, ...] = ()
    error: FathomError | None = None

    @property
    def perhaps_created(self) -> bool:
        """Whether Emma may have the events in spite of the error: a retry might create them twice."""
        if self.error is None:
            return False
        # Only a success has an unreadable answer, and closing the client does not wait for answers.
        return was_perhaps_done(self.error) or isinstance(self.error, DecodeError | ClosedError)


@frozen
class Creation:
    """The result of `create`.

    Attributes:
        batches: The batches, in the order of the events.
    """

    batches: tuple[Batch, ...]

    @property
    def created(self) -> tuple[MemberEvent, ...]:
        """The created events, in the order of the arguments."""
        return tuple(event for batch in self.batches for event in batch.created)

    @property
    def failed(self) -> tuple[Batch, ...]:
        """The batches that failed; Emma may have created some of them, see `Batch.perhaps_created`."""
        return tuple(batch for batch in self.batches if batch.error is not None)

    def result(self) -> tuple[MemberEvent, ...]:
        """Return the created events, if no batch failed.

        Raises:
            BatchError: Some batches failed.
        """
        if self.failed:
            raise BatchError(self.batches)
        return self.created


class BatchError(FathomError):
    """Some batches of events failed; the others were created.

    Args:
        batches: Every batch, in the order of the events.
    """

    def __init__(self, batches: Sequence[Batch]) -> None:
        super().__init__(tuple(batches))
        self.batches: tuple[Batch, ...] = tuple(batches)

    def __str__(self) -> str:
        failed = Creation(self.batches).failed
        events = sum(len(batch.events) for batch in failed)
        return (
            f"{len(failed)} of {len(self.batches)} batches failed, with {events} events; they are in `batches`; "
            f"the first: {failed[0].error}"
        )


def in_batches(events: Iterable[NewMemberEvent]) -> list[tuple[NewMemberEvent, ...]]:
    if isinstance(events, NewMemberEvent):
        raise ArgumentError("events must be a collection: write create([event])")
    if not isinstance(events, Iterable):
        raise ArgumentError(f"events must be a collection of NewMemberEvent, not {events!r}")
    found = tuple(events)
    for event in found:
        if not isinstance(event, NewMemberEvent):
            raise ArgumentError(f"an event must be a NewMemberEvent, not {event!r}")
    return [found[start : start + MAX_BATCH] for start in range(0, len(found), MAX_BATCH)]
