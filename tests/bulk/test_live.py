"""The pace of live visitors, on a clock that the test sets."""

from collections.abc import AsyncGenerator

import pytest

from fathom_async import ArgumentError, ClosedError, CurrentVisitors, LoopClock, RateLimit, TransportError
from fathom_async._bulk.live import LiveVisitors, burst, check_sites, interval, watch
from fathom_async._core.scope import Scope


class Hand(Scope):
    """A scope whose clock moves when someone sleeps, and when an answer takes its time."""

    def __init__(self) -> None:
        super().__init__(LoopClock())
        self.seconds: float = 100.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += max(0.0, seconds)


async def first(stream: AsyncGenerator[LiveVisitors, None], count: int) -> list[LiveVisitors]:
    taken = [await anext(stream) for _ in range(count)]
    await stream.aclose()
    return taken


async def test_sites_take_turns_evenly_spaced() -> None:
    hand, asked = Hand(), list[tuple[float, str]]()

    async def ask(site_id: str) -> CurrentVisitors:
        asked.append((hand.now(), site_id))
        return CurrentVisitors(len(asked))

    outcomes = await first(watch(("A", "B"), 60, ask, hand), 5)
    assert asked == [(100, "A"), (130, "B"), (160, "A"), (190, "B"), (220, "A")]
    assert [outcome.visitors and outcome.visitors.total for outcome in outcomes] == [1, 2, 3, 4, 5]


async def test_the_first_round_goes_at_once_and_no_window_has_more_than_its_share() -> None:
    limit, share = RateLimit(10, per=60), 0.5
    for count in (1, 3, 5, 8, 20):
        hand, asked = Hand(), list[float]()

        async def ask(_: str, hand: Hand = hand, asked: list[float] = asked) -> CurrentVisitors:
            asked.append(hand.now() - 100)
            return CurrentVisitors(1)

        sites = [f"site {number}" for number in range(count)]
        seconds, at_once = interval(count, 30, share, limit), burst(count, share, limit)
        await first(watch(sites, seconds, ask, hand, at_once=at_once), 40)
        assert asked[:at_once] == [0] * min(count, 5)
        assert all(later - first >= 60 for first, later in zip(asked, asked[5:], strict=False))
        even = [place * seconds / count for place in range(40)]
        assert asked[at_once:] == pytest.approx(even[at_once:])


async def test_a_delay_is_not_made_up_for_by_a_burst() -> None:
    hand, asked = Hand(), list[float]()

    async def ask(_: str) -> CurrentVisitors:
        asked.append(hand.now())
        hand.seconds += 95 if len(asked) == 1 else 0
        return CurrentVisitors(1)

    await first(watch(("A",), 30, ask, hand), 4)
    assert asked == [100, 195, 225, 255]


async def test_an_error_of_a_site_is_an_outcome() -> None:
    failure = TransportError("the connection broke")

    async def ask(site_id: str) -> CurrentVisitors:
        if site_id == "A":
            raise failure
        return CurrentVisitors(3)

    broken, fine, again = await first(watch(("A", "B"), 60, ask, Hand()), 3)
    assert (broken.site_id, broken.visitors, broken.error) == ("A", None, failure)
    assert (fine.site_id, fine.visitors, fine.error) == ("B", CurrentVisitors(3), None)
    assert again.error is failure


async def test_a_closed_client_ends_the_stream() -> None:
    async def ask(_: str) -> CurrentVisitors:
        raise ClosedError("the client is closed")

    with pytest.raises(ClosedError):
        await anext(watch(("A",), 60, ask, Hand()))


@pytest.mark.parametrize(
    ("sites", "every", "share", "seconds"),
    [(1, 60, 0.5, 60), (1, 1, 0.5, 12), (20, 60, 0.5, 240), (20, 60, 1.0, 120), (5, 60, 0.5, 60)],
)
def test_the_share_decides_where_the_wish_is_too_much(
    sites: int, every: float, share: float, seconds: float
) -> None:
    assert interval(sites, every, share, RateLimit(10, per=60)) == seconds


@pytest.mark.parametrize(
    ("every", "share", "message"), [(0, 0.5, "every"), (60, 0, "share"), (60, 1.5, "share")]
)
def test_a_pace_out_of_range_is_refused(every: float, share: float, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        interval(1, every, share, RateLimit(10, per=60))


def test_sites_are_a_list_of_ids() -> None:
    assert check_sites(["A", "B", "A"]) == ("A", "B")
    for wrong in ([], "CDBUGS", [""]):
        with pytest.raises(ArgumentError):
            check_sites(wrong)
