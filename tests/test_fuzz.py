"""Decoders and parsers meet what nobody would write: each returns, or raises the error that it promises.

The inputs are valid ones with a part replaced, dropped, repeated or cut off, and texts made of the grammar's own
words. The usual run tries the same ones each time; with `FUZZ_EXAMPLES=2000`, new ones, for a quarter of an hour.
"""

import json
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from typing import Final, TypeVar, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fathom_async import (
    Account,
    ArgumentError,
    CurrentVisitors,
    DecodeError,
    Event,
    EventQuery,
    Filter,
    Milestone,
    PageviewQuery,
    Period,
    RatePlan,
    Site,
    Token,
)
from fathom_async._bulk.fusing.knowledge import ServerKnowledge
from fathom_async._cli.filter_syntax import condition
from fathom_async._core.codec.failures import read_error
from fathom_async._core.codec.objects import deletion, discard, object_decoder, page_decoder
from fathom_async._core.request import Response
from fathom_async._ratelimit.admission import read_feedback
from fathom_async._reports.filters import filters_from_json
from fathom_async._reports.query import query_from_params
from fathom_async._util import checks
from fathom_async._util.text import one_line
from fathom_async.connectors.emma import EventType, MemberEvent
from fathom_async.connectors.secoda import Resource
from fathom_async.jobs import load_jobs

T = TypeVar("T")

LONG_RUN: Final = os.environ.get("FUZZ_EXAMPLES")
fuzz = settings(
    max_examples=int(LONG_RUN or 60),
    derandomize=LONG_RUN is None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

NOW: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
MOMENT: Final = "2026-01-31T12:00:00.000000Z"
VISITS: Final = PageviewQuery(
    "CDBUGS", aggregates=["visits"], field_grouping=["pathname"], date_grouping="day"
)
SALES: Final = EventQuery(
    "CDBUGS", "sale", aggregates=["conversions", "value"], filters=[Filter("ref", "is", "a")]
)

SITE: Final = {
    "id": "CDBUGS",
    "object": "site",
    "name": "a",
    "sharing": "none",
    "created_at": MOMENT,
    "timezone": "UTC",
}
EVENT: Final = {"id": "A", "object": "event", "name": "a", "currency": "EUR", "created_at": MOMENT}
RESOURCE: Final = {"id": "1", "title": "a", "pii": False, "tags": ["a"], "created_at": MOMENT, "parent": None}
MEMBER_EVENT: Final[dict[str, object]] = {
    "event_type_id": 1,
    "member_id": 2,
    "event_timestamp": "@D:2026-01-31T12:00:00",
    "attributes": {},
}

BODIES: Final[dict[str, tuple[object, Callable[[bytes], object]]]] = {
    "a site": (SITE, object_decoder(Site)),
    "an account": ({"id": 1, "name": "a", "email": "b"}, object_decoder(Account)),
    "a token": (
        {"name": "a", "abilities": ["*"], "expires_at": None, "created_at": MOMENT},
        object_decoder(Token),
    ),
    "a milestone": (
        {"id": "1", "name": "a", "milestone_date": "2026-01-31", "created_at": MOMENT, "updated_at": MOMENT},
        object_decoder(Milestone),
    ),
    "visitors": (
        {"total": 3, "content": [{"hostname": "a", "pathname": "/", "total": 3}], "referrers": []},
        object_decoder(CurrentVisitors),
    ),
    "a page": (
        {"object": "list", "url": "/v1", "has_more": False, "data": [EVENT, EVENT]},
        page_decoder(Event),
    ),
    "a deletion": ({"id": "1", "object": "site", "deleted": True}, deletion),
    "nothing of interest": ({}, discard),
    "an entry": (RESOURCE, object_decoder(Resource)),
    "an event type": (
        {"event_type_id": 1, "event_type": "a", "created_at": "@D:2026-01-31T12:00:00"},
        object_decoder(EventType),
    ),
    "a member's event": (MEMBER_EVENT, object_decoder(MemberEvent)),
    "rows": ([{"visits": "3", "pathname": "/", "date": "2026-01-31"}], VISITS.read),
    "rows of an event": ([{"conversions": 3, "value": "250"}], SALES.read),
}
"""Valid answers, and their decoders."""

ODD: Final[list[object]] = [
    *(None, True, False, 0, -1, 2**63, 2**70, -(2**70), 0.5, 1e308, math.inf, math.nan),
    *(
        "",
        " ",
        "a",
        "null",
        "0",
        "-0",
        "1e400",
        "999.5",
        "\0",
        "\ud800",
        "é" * 300,
        "@D:",
        "@D:x",
        "x" * 10_000,
    ),
    *(
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-02-30",
        "2026-01-31 24:00:00",
        "20260131",
    ),
    *([], [[]], [None], {}, {"": ""}, {"data": []}, {"id": {"id": {}}}, [1] * 50),
]
odd = st.sampled_from(ODD)


@st.composite
def changed(draw: st.DrawFn, valid: object) -> object:
    """Return a value with one of its parts replaced, dropped, doubled or added."""
    if isinstance(valid, dict) and valid and draw(st.integers(0, 4)):
        fields = dict(cast("dict[str, object]", valid))
        name = draw(st.sampled_from(sorted(fields)))
        match draw(st.integers(0, 3)):
            case 0:
                del fields[name]
            case 1:
                fields[draw(st.sampled_from([name, "extra", "", "object", "\ud800"]))] = draw(odd)
            case _:
                fields[name] = draw(changed(fields[name]))
        return fields
    if isinstance(valid, list) and valid and draw(st.integers(0, 4)):
        items = list(cast("list[object]", valid))
        place = draw(st.integers(0, len(items) - 1))
        items[place] = draw(changed(items[place]))
        return items * draw(st.integers(1, 3))
    return draw(odd)


@st.composite
def damaged(draw: st.DrawFn, valid: object) -> bytes:  # noqa: PLR0911 - one return a kind of damage
    """Return a body that is JSON, or was once."""
    body = json.dumps(draw(changed(valid))).encode()
    match draw(st.integers(0, 11)):
        case 0:
            return body[: draw(st.integers(0, len(body)))]
        case 1:
            place = draw(st.integers(0, len(body)))
            return body[:place] + draw(st.binary(max_size=4)) + body[place + draw(st.integers(0, 4)) :]
        case 2:
            return draw(st.sampled_from([b"\xef\xbb\xbf", b" \n", b")]}',", b"\0"])) + body
        case 3:
            return body.decode().encode(draw(st.sampled_from(["utf-16", "utf-32", "utf-16-be"])))
        case 4:
            depth = draw(st.sampled_from([50, 900, 1_100, 3_000, 100_000]))
            opening, closing = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b"[" * 2, b"")]))
            return opening * depth + body + closing * depth
        case 5:
            return draw(
                st.sampled_from([b"", b"<html>", b"null", b"0", b'""', b"NaN", b"-", b'{"a":1}{"a":1}'])
            )
        case _:
            return body


def raised_by(
    read: Callable[[T], object], text: T, kind: type[Exception] = ArgumentError
) -> Exception | None:
    """Return the error of this kind that reading a text raises, if any; another kind is a failure."""
    try:
        read(text)
    except kind as error:
        return error
    return None


@pytest.mark.parametrize("kind", BODIES)
@fuzz
@given(data=st.data())
def test_a_body_is_decoded_or_refused(kind: str, data: st.DataObject) -> None:
    valid, decode = BODIES[kind]
    body = data.draw(damaged(valid))
    if error := raised_by(decode, body, DecodeError):
        assert len(str(error)) <= 1_001


@pytest.mark.parametrize("kind", BODIES)
def test_a_valid_body_is_decoded(kind: str) -> None:
    valid, decode = BODIES[kind]
    decode(json.dumps(valid).encode())


@fuzz
@given(
    st.one_of(*(damaged({key: {"name": ["no"]}, "message": "no"}) for key in ("error", "errors", "detail"))),
    st.integers(300, 599),
    st.text(max_size=5),
)
def test_an_error_answer_is_an_error(body: bytes, status: int, reason: str) -> None:
    error = read_error(Response(status, {}, body, reason), "GET", "https://host/x")
    assert type(error).__name__ in str(repr(error))
    assert len(str(error)) < 1_500
    assert one_line(str(error)).isprintable()


headers = st.one_of(
    st.sampled_from(["", "0", "-1", "1e9", "inf", "nan", "0x10", "9" * 400, "1_000", "٣", " 5 ", "5, 6"]),
    st.sampled_from(
        ["Wed, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 99 Foo 2026 25:00:00 -9999"]
    ),
    st.text(max_size=20),
)


@fuzz
@given(
    st.dictionaries(
        st.sampled_from(["X-RateLimit-Limit", "X-RateLimit-Remaining", "Retry-After", "Date"]), headers
    )
)
def test_rate_limit_headers_are_read_or_ignored(said: dict[str, str]) -> None:
    feedback = read_feedback(said, lambda: 1e9)
    assert feedback.retry_after is None or 0 <= feedback.retry_after < math.inf


@fuzz
@given(damaged([{"pathname": True}, {"a b c": [3, 4.0]}, 4_000]))
def test_what_another_process_has_learned_is_added_or_ignored(body: bytes) -> None:
    assert ServerKnowledge().add(body).longest_patterns <= ServerKnowledge().longest_patterns


WORDS: Final = (
    *(
        "last",
        "previous",
        "this",
        "to",
        "date",
        "hour",
        "days",
        "week",
        "quarter",
        "years",
        "Q1",
        "Q5",
        "2026",
        "0000",
    ),
    *(
        "2026-01",
        "2026-13",
        "2026-01-31",
        "9999-12-31",
        "0001-01-01",
        "1",
        "999999",
        "today",
        "-",
        "٣",
        "\0",
        "",
    ),
)
words = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


@fuzz
@given(st.one_of(words, st.text(max_size=20)))
def test_a_period_is_understood_or_refused(text: str) -> None:
    try:
        period = Period.parse(text, NOW)
    except ArgumentError:
        return
    assert period.start <= period.end


conditions = st.lists(
    st.sampled_from(
        [
            "pathname",
            "browser",
            "keyword",
            "is",
            "not",
            "like",
            "matching",
            "=",
            "!~",
            "'",
            '"',
            "(a",
            "*",
            " ",
            "\n",
        ]
    )
).map(" ".join)


@fuzz
@given(st.one_of(conditions, conditions.map(lambda text: text.replace(" ", "")), st.text()))
def test_a_condition_is_understood_or_refused(text: str) -> None:
    if error := raised_by(condition, text):
        assert str(error)


@fuzz
@given(damaged([{"property": "pathname", "operator": "matching", "value": "^/(a|b)"}]))
def test_filters_in_json_are_read_or_refused(body: bytes) -> None:
    if error := raised_by(filters_from_json, body.decode(errors="replace")):
        assert str(error)


@fuzz
@given(st.data(), st.sampled_from([VISITS, SALES]))
def test_a_query_in_parameters_is_read_or_refused(
    data: st.DataObject, query: PageviewQuery | EventQuery
) -> None:
    params = data.draw(changed(query.params()))
    if not isinstance(params, dict):
        return
    texts = {str(name): str(value) for name, value in cast("dict[object, object]", params).items()}
    try:
        found = query_from_params(texts)
    except ArgumentError:
        return
    assert query_from_params(found.params()) == found


LINES: Final = (
    *(
        "[job.a]",
        "[job.a.matrix]",
        "[job.'b c']",
        "[output]",
        "[[job.a]]",
        "[job]",
        "[other]",
        "site_id = 'CDBUGS'",
    ),
    *(
        "site_id = ['A', 'B']",
        "matrix.site_id = ['A', 'B']",
        "matrix = 5",
        "aggregates = ['visits']",
        "aggregates = 'visits'",
    ),
    *(
        "period = 'last 7 days'",
        "period = ['today', 'yesterday']",
        "date_from = 2026-01-31",
        "date_to = 2026-01-31T12:00:00Z",
    ),
    *(
        "filters = [{property = 'browser', operator = 'is', value = 'a'}]",
        "filters = 'pathname is /'",
        "limit = 10",
    ),
    *(
        "limit = inf",
        "timezone = 'Mars/Base'",
        "complete = true",
        "name = '{site_id}-{x}'",
        "directory = ''",
        "= 5",
        "x = nan",
    ),
)


@fuzz
@given(st.lists(st.sampled_from(LINES), max_size=12), st.binary(max_size=3))
def test_a_job_file_is_read_or_refused(lines: list[str], end: bytes) -> None:
    content = "\n".join(dict.fromkeys(lines)).encode() + b"\n" + end
    if error := raised_by(partial(load_jobs, now=NOW.replace(tzinfo=None)), BytesIO(content)):
        assert str(error)


@fuzz
@given(st.one_of(st.text(), st.from_regex(r"(https?|redis|unix|file|sqlite)://[\[\]@:/?#a.%\x00]{0,12}")))
def test_an_address_is_taken_or_refused(text: str) -> None:
    for check in (checks.base_url, checks.budget_url, RatePlan.parse):
        if error := raised_by(check, text):
            assert str(error)
