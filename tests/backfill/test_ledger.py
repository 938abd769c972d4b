"""Which periods are filled in and settled, in a time zone."""

import json
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from fathom_async._reports.calendar import Unit
from fathom_async.backfill._ledger import Ledger, Span

ZONES = ("UTC", "Asia/Tokyo", "America/New_York")
DAY = Unit("day")
FIRST = 700_000

answers = st.tuples(
    st.integers(FIRST, FIRST + 20), st.integers(1, 8), st.integers(0, 8), st.sampled_from(ZONES)
)


def numbers(spans: Iterable[Span]) -> set[int]:
    return {index for span in spans for index in span}


@given(st.lists(answers, max_size=12))
def test_a_period_is_known_by_the_clock_that_it_was_filled_in_by_last(
    replaced: list[tuple[int, int, int, str]],
) -> None:
    ledger = Ledger()
    zone_of: dict[int, str] = {}
    settled: set[int] = set()
    for first, length, over, zone in replaced:
        span = Span(first, first + length)
        ledger = ledger.replaced(span, span.before(first + over), zone)
        periods = numbers([span])
        settled -= {each for each in periods if zone_of.get(each) != zone}
        settled |= {each for each in periods if each < first + over}
        zone_of |= dict.fromkeys(periods, zone)
    for zone in ZONES:
        mine = {each for each, its in zone_of.items() if its == zone}
        assert numbers(ledger.settled(zone)) == mine & settled
        assert numbers(span for spans in ledger.elsewhere(zone).values() for span in spans) == (
            zone_of.keys() - mine
        )


@given(st.lists(answers, max_size=6), st.integers(FIRST, FIRST + 28))
def test_a_ledger_is_the_same_in_json_and_in_parts(
    replaced: list[tuple[int, int, int, str]], middle: int
) -> None:
    whole = Ledger()
    parts = [Ledger(), Ledger()]
    for first, length, over, zone in replaced:
        span, settled = Span(first, first + length), Span(first, first + min(over, length))
        whole = whole.replaced(span, settled, zone)
        for number, part in enumerate((Span(0, middle), Span(middle, FIRST + 100))):
            if cut := _within(span, part):
                parts[number] = parts[number].replaced(cut, _within(settled, part), zone)
    assert Ledger.of(parts) == whole
    assert Ledger.from_json(DAY, json.loads(json.dumps(whole.to_json(DAY)))) == whole


def _within(span: Span, part: Span) -> Span:
    return Span(max(span.first, part.first), min(span.after, part.after))


def test_nothing_is_known_at_first() -> None:
    assert Ledger().settled("UTC") == ()
    assert Ledger().elsewhere("UTC") == {}
    assert Ledger.of([Ledger(), Ledger()]).settled("UTC") == ()
