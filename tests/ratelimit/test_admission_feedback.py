"""Rate-limit headers."""

from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from fathom_async._ratelimit.admission import SILENT, Feedback, read_feedback

NOW = datetime(2025, 1, 31, 10, tzinfo=UTC).timestamp()


def now() -> float:
    return NOW


def test_headers_are_read_whatever_their_case() -> None:
    headers = CIMultiDict({"x-ratelimit-limit": "10", "X-RATELIMIT-REMAINING": "3", "retry-after": "59"})
    assert read_feedback(headers, now) == Feedback(10, 3, 59.0)


def test_most_answers_of_other_servers_say_nothing() -> None:
    assert read_feedback({}, now) is SILENT


@pytest.mark.parametrize("text", ["", "ten", "1.5", "1,000", "1_0", "\u0661"])
def test_a_number_that_is_none_is_left_out(text: str) -> None:
    assert read_feedback({"X-RateLimit-Limit": text, "X-RateLimit-Remaining": text}, now) == Feedback()


def test_a_date_counts_from_the_servers_own_date() -> None:
    headers = {"Retry-After": "Fri, 31 Jan 2025 10:00:30 GMT", "Date": "Fri, 31 Jan 2025 10:00:00 GMT"}
    assert read_feedback(headers, now).retry_after == 30
    headers["Date"] = "Fri, 31 Jan 2025 10:01:00 GMT"
    assert read_feedback(headers, now).retry_after == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("59", 59),
        ("1.5", 1.5),
        ("-3", 0),
        ("86400", 86_400),
        ("9" * 20, 1e12),
        ("Fri, 31 Jan 2025 10:00:30 GMT", 30),
        ("Fri, 31 Jan 2025 10:00:30 -0000", 30),
        ("Fri, 31 Jan 2025 11:00:30 +0100", 30),
        ("Friday, 31-Jan-25 10:00:30 GMT", 30),
        ("Fri Jan 31 10:00:30 2025", 30),
        ("Fri, 31 Jan 2025 09:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799 - NOW),
    ],
)
@pytest.mark.parametrize("date", [None, "Fri, 31 Jan 2025 10:00:00 GMT", "today"])
def test_a_time_to_wait_is_read_in_every_form(text: str, seconds: float, date: str | None) -> None:
    headers = {"Retry-After": text} | ({} if date is None else {"Date": date})
    assert read_feedback(headers, now).retry_after == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "1_0",
        "1_0.5",
        "\u0661",
        "nan",
        "inf",
        "1e400",
        "9" * 400,
        "Fri, 31 Jan 99999 10:00:30 GMT",
    ],
)
def test_a_time_that_cannot_be_read_is_left_out(text: str) -> None:
    assert read_feedback({"Retry-After": text}, now).retry_after is None
