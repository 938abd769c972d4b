from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from fathom_async.testing import Dataset

UNTIL = date(2026, 10, 31)


def test_the_same_seed_makes_the_same_records() -> None:
    assert Dataset.synthetic(seed=1, until=UNTIL) is Dataset.synthetic(seed=1, until=UNTIL)
    one, other = (
        Dataset.synthetic(days=7, seed=1, until=UNTIL),
        Dataset.synthetic(days=7, seed=2, until=UNTIL),
    )
    assert one.pageviews != other.pageviews


def test_a_day_is_the_same_in_every_period() -> None:
    long = Dataset.synthetic(sites=1, days=30, until=UNTIL)
    short = Dataset.synthetic(sites=1, days=3, until=UNTIL - timedelta(days=5))
    assert set(short.pageviews) <= set(long.pageviews)
    assert set(short.completions) <= set(long.completions)


def test_a_year_looks_like_a_site() -> None:
    data = Dataset.synthetic(until=UNTIL)
    assert 15_000 < len(data.pageviews) < 35_000
    assert [site.timezone for site in data.sites] == ["America/New_York", "Europe/Berlin", "Asia/Kolkata"]
    local = [
        view.at.astimezone(ZoneInfo("America/New_York"))
        for view in data.pageviews
        if view.site_id == "CDBUGS"
    ]
    hours, days = Counter(at.hour for at in local), Counter(at.weekday() for at in local)
    assert hours[10] > 3 * hours[3]
    assert days[2] > days[6]
    assert {done.event for done in data.completions} == {event.name for event in data.events}
    assert {done.value is None for done in data.completions if done.event == "purchase"} == {False}


def test_sites_and_paths_scale() -> None:
    data = Dataset.synthetic(sites=7, days=2, visits_per_day=300, paths=500, until=UNTIL)
    assert len({site.id for site in data.sites}) == 7
    assert all(len(site.id) == 6 and site.id.isupper() for site in data.sites)
    assert len({view.pathname for view in data.pageviews}) > 200


def test_somebody_is_always_about_and_it_varies() -> None:
    data = Dataset.synthetic(until=UNTIL)
    noon = datetime(2026, 10, 31, 16, tzinfo=UTC)
    counts = [
        len({view.session for view in data.live("CDBUGS", noon + timedelta(minutes=n))})
        for n in range(0, 60, 5)
    ]
    assert min(counts) > 0
    assert len(set(counts)) > 3
