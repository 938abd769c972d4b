"""Events that are sent in batches, and what became of each batch."""

from collections.abc import Iterable, Sequence

from attrs import frozen

from fathom_async._core.retry import was_perhaps_done
from fathom_async.connectors.emma._models import MemberEvent, NewMemberEvent
from fathom_async.errors import ArgumentError, ClosedError, DecodeError, FathomError

MAX_BATCH = 10
"""Events that Emma takes at once."""


@frozen
class Batch:
    """What became of up to ten events that were sent together.

    Attributes:
        events: What was to be created.
        created: What was created, in the same order; nothing where there is an error.
        error: Why it was not; None where it was.
    """

    events: tuple[NewMemberEvent, ...]
    created: tuple[MemberEvent, ...] = ()
    error: FathomError | None = None

    @property
    def perhaps_created(self) -> bool:
        """Whether Emma may have the events in spite of the error: sent again, they might be there twice."""
        if self.error is None:
            return False
        # An answer that cannot be read is one of success, and who closes the client does not wait for answers.
        return was_perhaps_done(self.error) or isinstance(self.error, DecodeError | ClosedError)


@frozen
class Creation:
    """What became of many events, in the order given.

    Attributes:
        batches: The batches that they were sent in.
    """

    batches: tuple[Batch, ...]

    @property
    def created(self) -> tuple[MemberEvent, ...]:
        """All that was created, in the order given."""
        return tuple(event for batch in self.batches for event in batch.created)

    @property
    def failed(self) -> tuple[Batch, ...]:
        """The batches that were not created, or not for certain."""
        return tuple(batch for batch in self.batches if batch.error is not None)

    def result(self) -> tuple[MemberEvent, ...]:
        """Return all that was created, if everything was.

        Raises:
            BatchError: Some batches failed.
        """
        if self.failed:
            raise BatchError(self.batches)
        return self.created


class BatchError(FathomError):
    """Some of many batches of events failed; the others were created.

    Args:
        batches: What became of every batch, in the order given.
    """

    def __init__(self, batches: Sequence[Batch]) -> None:
        super().__init__(tuple(batches))
        self.batches: tuple[Batch, ...] = tuple(batches)

    def __str__(self) -> str:
        failed = [batch for batch in self.batches if batch.error is not None]
        events = sum(len(batch.events) for batch in failed)
        return (
            f"{len(failed)} of {len(self.batches)} batches failed, with {events} events; they are in `batches`; "
            f"the first: {failed[0].error}"
        )


def in_batches(events: Iterable[NewMemberEvent]) -> list[tuple[NewMemberEvent, ...]]:
    """Cut events into batches that Emma takes.

    Raises:
        ArgumentError: They are no collection, or one of them is no event.
    """
    if isinstance(events, NewMemberEvent):
        raise ArgumentError("events must be a collection: write create([event])")
    if not isinstance(events, Iterable):
        raise ArgumentError(f"events must be a collection of NewMemberEvent, not {events!r}")
    found = tuple(events)
    for event in found:
        if not isinstance(event, NewMemberEvent):
            raise ArgumentError(f"an event must be a NewMemberEvent, not {event!r}")
    return [found[start : start + MAX_BATCH] for start in range(0, len(found), MAX_BATCH)]
