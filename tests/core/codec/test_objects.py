"""JSON bodies to model objects."""

from datetime import UTC, date, datetime

import pytest

from fathom_async import Account, CurrentVisitors, DecodeError, Event, Milestone, Page, Site, Token
from fathom_async._core.codec.objects import object_decoder, page_decoder, parse, read_mapping

SITE = b'{"id":"A","object":"site","name":"N","sharing":"none","created_at":"2024-01-02 03:04:05"}'


def test_times_are_aware_and_in_utc() -> None:
    site = object_decoder(Site)(SITE)
    assert site.created_at == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    elsewhere = SITE.replace(b"2024-01-02 03:04:05", b"2024-01-02T05:04:05+02:00")
    assert object_decoder(Site)(elsewhere).created_at == site.created_at
    assert object_decoder(Site)(elsewhere).created_at.tzinfo is UTC


def test_a_milestone_marks_a_day() -> None:
    body = b'{"id":"m","name":"N","milestone_date":"2024-01-15 00:00:00"}'
    assert object_decoder(Milestone)(body).milestone_date == date(2024, 1, 15)


def test_what_may_be_missing_is_none() -> None:
    assert object_decoder(Event)(b'{"name":"signup"}') == Event("signup")
    assert object_decoder(Token)(b'{"name":"t","abilities":["*"],"expires_at":null}').expires_at is None


def test_numbers_may_come_as_digits() -> None:
    account = object_decoder(Account)(b'{"id":"7","name":"N","email":"e"}')
    assert account.id == 7
    assert object_decoder(CurrentVisitors)(b'{"total":"3"}').total == 3


@pytest.mark.parametrize("digits", ["1_0", "\u0667", "1.0", "", "0x10"])
def test_a_number_is_one_outside_of_python_too(digits: str) -> None:
    with pytest.raises(DecodeError, match="total"):
        object_decoder(CurrentVisitors)(f'{{"total":"{digits}"}}'.encode())


def test_unknown_fields_are_kept_and_the_type_tag_is_not() -> None:
    body = SITE[:-1] + b',"plan":{"tier":6}}'
    assert object_decoder(Site)(body).extra == {"plan": {"tier": 6}}


def test_objects_can_be_put_in_sets() -> None:
    decode = object_decoder(Site)
    assert len({decode(SITE), decode(SITE)}) == 1


def test_a_page_of_objects() -> None:
    page = page_decoder(Site)(b'{"object":"list","url":"/v1/sites","has_more":true,"data":[' + SITE + b"]}")
    assert page == Page((object_decoder(Site)(SITE),), has_more=True, url="/v1/sites")
    assert [site.id for site in page] == ["A"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"<!doctype html>", "web page"),
        (b"\n  <html>", "web page"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not a Site"),
        (b"null", "not a Site"),
        (SITE.replace(b'"N"', b"null"), r"expected str @ \$.name"),
        (SITE.replace(b'"N"', b"5"), r"expected str @ \$.name"),
        (SITE.replace(b'"name":"N",', b""), "name"),
        (SITE.replace(b"2024-01-02", b"2024-13-02"), "created_at"),
    ],
)
def test_what_is_no_such_object_is_a_decode_error_that_says_why(body: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words) as caught:
        object_decoder(Site)(body)
    assert caught.value.body == body[:200]


def test_a_flag_must_be_a_flag() -> None:
    with pytest.raises(DecodeError, match="has_more"):
        page_decoder(Site)(b'{"has_more":"false","data":[]}')


def test_a_mapping_is_read_or_empty() -> None:
    assert read_mapping(b'{"error":"no"}') == {"error": "no"}
    assert read_mapping(b"[1]") == read_mapping(b"<html>") == read_mapping(b"") == {}
    assert parse(b"[1]") == [1]
