"""Cache entries: one serves every equal query, and reveals nothing else."""

import json
from datetime import datetime

import attrs
import msgspec
import pytest

from fathom_async import EventQuery, Filter, PageviewQuery
from fathom_async._cache.entry import SKEW, CacheEntry, answer_key, namespace, packed, replaces, unpacked
from fathom_async._util.checks import known_zone
from fathom_async.errors import DecodeError

QUERY = PageviewQuery(
    "CDBUGS",
    aggregates=["pageviews", "avg_duration", "bounce_rate"],
    field_grouping=["pathname", "browser"],
    date_grouping="day",
    filters=[Filter("pathname", "is not", "/a"), Filter("browser", "is", "Firefox")],
    date_from="2026-01-01",
    date_to="2026-01-31",
)
SAME = QUERY.replace(
    aggregates=["bounce_rate", "pageviews", "avg_duration"],
    field_grouping=["browser", "pathname"],
    filters=QUERY.filters[::-1],
)
BODY = b"""[
  {"date": "2026-01-02", "pathname": "/\\u00e9", "browser": null,
   "pageviews": "7", "avg_duration": "12.3456", "bounce_rate": 0.1},
  {"date": "2026-01-01", "pathname": "/", "browser": "Firefox",
   "pageviews": "1", "avg_duration": null, "bounce_rate": null}
]"""


def test_an_answer_is_read_back_as_it_was() -> None:
    report = QUERY.read(BODY)
    assert CacheEntry.of(report, 1.0).report(QUERY) == report


def test_an_equal_query_reads_it_in_its_own_order() -> None:
    assert SAME == QUERY
    report = CacheEntry.of(QUERY.read(BODY), 1.0).report(SAME)
    assert report == SAME.read(BODY)
    assert report.columns == ("date", "browser", "pathname", "bounce_rate", "pageviews", "avg_duration")
    assert [row.pageviews for row in report] == [1, 7]


@pytest.mark.parametrize("truncated", [True, False])
def test_whether_rows_may_be_missing_is_kept(*, truncated: bool) -> None:
    report = attrs.evolve(QUERY.replace(sort_by="pageviews:desc", limit=2).read(BODY), truncated=truncated)
    assert CacheEntry.of(report, 1.0).report(report.query).truncated is truncated


@pytest.mark.parametrize(
    ("date_to", "own", "former", "zone", "moment", "expected"),
    [
        ("2026-01-31 23:59:59", None, None, None, "2026-02-01 00:00:00", False),
        ("2026-01-31 23:59:59", None, None, "Asia/Tokyo", "2026-01-31 23:59:59", True),
        (None, "Asia/Tokyo", None, None, "2027-01-01 00:00:00", True),
        ("2026-01-31 23:59:59", "America/New_York", None, "Europe/Berlin", "2026-02-01 05:00:00", True),
        ("2026-01-31 23:59:59", "America/New_York", None, "Europe/Berlin", "2026-02-01 06:00:00", False),
        ("2026-01-31 23:59:59", "America/New_York", "Europe/Berlin", None, "2026-02-01 05:00:00", True),
        ("2026-02-01 00:00:00", "Asia/Tokyo", "Europe/Berlin", None, "2026-02-01 00:00:00", False),
        (
            "2026-01-31 23:59:59",
            "Pacific/Pago_Pago",
            None,
            None,
            "2026-02-02 00:00:00",
            True,
        ),  # on some clock
        ("2026-01-31 23:59:59", "Asia/Tokyo", None, None, "2026-02-02 00:00:00", False),  # on none
        ("2026-01-31 23:59:59", None, "America/New_York", "Europe/Berlin", "2026-02-01 05:00:00", True),
        ("2026-01-31 23:59:59", None, "Etc/Unknown", None, "2026-02-01 00:00:00", False),
        ("2026-10-25 02:29:59", None, None, "Europe/Berlin", "2026-10-25 02:45:00", True),  # shown twice
        ("2026-01-31 23:59:59", None, None, "Europe/Berlin", "2026-01-31 22:59:59+00:00", True),
        ("2026-01-31 23:59:59", None, None, "Europe/Berlin", "2026-01-31 23:00:00+00:00", False),
    ],
)
def test_an_answer_reaches_a_moment_of_the_sites_clock(
    date_to: str | None, own: str | None, former: str | None, zone: str | None, moment: str, *, expected: bool
) -> None:
    query = QUERY.replace(date_from=date_to and "2026-01-01", date_to=date_to, timezone=own)
    entry = CacheEntry.of(query.read(b"[]"), 1.0, timezone=former, subject="one:x")
    assert entry.reaches(datetime.fromisoformat(moment), known_zone(zone)) is expected


def test_an_answer_to_something_else_is_told() -> None:
    with pytest.raises(DecodeError, match="column 'pageviews' is missing"):
        CacheEntry(b'[{"visits": 1}]', 1.0).report(PageviewQuery("CDBUGS", aggregates=["pageviews"]))


def test_the_body_is_not_shown() -> None:
    assert repr(CacheEntry(b"secret" * 300, 1.0)).startswith("CacheEntry(body=<1,800 bytes>, asked_at=1.0")


def test_queries_share_a_key_exactly_if_they_ask_for_the_same_of_the_same_account() -> None:
    space = namespace("https://api.usefathom.com/v1", "token")
    event = EventQuery("CDBUGS", "purchase", aggregates=["conversions"])
    keys = {
        answer_key(space, QUERY),
        answer_key(space, QUERY.replace(sort_by="pageviews:desc")),
        answer_key(space, QUERY.replace(sort_by="pageviews:desc", limit=7)),
        answer_key(space, QUERY.replace(timezone="Europe/Berlin")),
        answer_key(space, event),
        answer_key(namespace("https://api.usefathom.com/v1", "another token"), QUERY),
        answer_key(namespace("http://127.0.0.1:8000", "token"), QUERY),
    }
    assert len(keys) == 7
    assert answer_key(space, SAME) == answer_key(space, QUERY)
    assert namespace("https://api.usefathom.com/v1/", "token") == space


def test_keys_stay_the_same_over_processes_and_show_no_token() -> None:
    space = namespace("https://api.usefathom.com/v1", "token")
    assert space == "f0498234df7e969c7b110d759cbd5d64"
    assert (
        answer_key(space, PageviewQuery("CDBUGS", aggregates=["visits"]))
        == "4dc0bf42a0a7c63c83c2c201f4c63591"
    )


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (2.0, 1.0, True),
        (1.0, 1.0, True),
        (1.0, 2.0, False),
        (100.0, 100.0 + SKEW, False),
        (100.0, 101.0 + SKEW, True),
        (300.0 + SKEW, 200.0 + SKEW, True),
    ],
)
def test_the_newer_answer_stays_unless_it_is_of_the_future(new: float, old: float, *, expected: bool) -> None:
    assert replaces(new, old, now=100.0) is expected


def test_rows_that_an_older_version_cannot_read_are_damaged_to_it_and_no_crash() -> None:
    query = PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["pathname"])
    rows = [{"pathname": f"/blog/{number}", "pageviews": str(number)} for number in range(100)]
    kept = CacheEntry.of(query.read(json.dumps(rows).encode()), 1.0, subject="site:x")
    entry, body = packed(kept)
    assert len(body) < len(kept.body) / 3
    assert unpacked("here", entry, body) == kept
    older = attrs.evolve(msgspec.msgpack.decode(entry, type=CacheEntry), body=body)
    with pytest.raises(DecodeError):
        older.report(query)


def test_small_answers_stay_as_older_versions_wrote_them() -> None:
    kept = CacheEntry(b'[{"pageviews":7}]', 1.0, truncated=True, timezone="Europe/Berlin", query="{}")
    assert packed(kept) == (msgspec.msgpack.encode(attrs.evolve(kept, body=b"")), kept.body)


def test_what_an_older_version_wrote_is_read() -> None:
    kept = CacheEntry(b"[" + b"7," * 5_000 + b"7]", 1.0, truncated=True, timezone="Europe/Berlin", query="{}")
    assert unpacked("here", msgspec.msgpack.encode(attrs.evolve(kept, body=b"")), kept.body) == kept
