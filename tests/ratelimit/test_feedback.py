"""Rate-limit headers."""

import pytest
from multidict import CIMultiDict

from fathom_async._ratelimit.admission import SILENT, Feedback, read_feedback


def test_headers_are_read_whatever_their_case() -> None:
    headers = CIMultiDict({"x-ratelimit-limit": "10", "X-RATELIMIT-REMAINING": "3", "retry-after": "59"})
    assert read_feedback(headers) == Feedback(10, 3, 59.0)


def test_most_answers_of_other_servers_say_nothing() -> None:
    assert read_feedback({}) is SILENT


@pytest.mark.parametrize("text", ["", "ten", "1.5", "1,000"])
def test_a_number_that_is_none_is_left_out(text: str) -> None:
    assert read_feedback({"X-RateLimit-Limit": text, "X-RateLimit-Remaining": text}) == Feedback()


def test_a_date_counts_from_the_servers_own_date() -> None:
    headers = {"Retry-After": "Fri, 31 Jan 2025 10:00:30 GMT", "Date": "Fri, 31 Jan 2025 10:00:00 GMT"}
    assert read_feedback(headers).retry_after == 30
    headers["Date"] = "Fri, 31 Jan 2025 10:01:00 GMT"
    assert read_feedback(headers).retry_after == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "soon"},
        {"Retry-After": "Fri, 31 Jan 2025 10:00:30 GMT"},
        {"Retry-After": "soon", "Date": "Fri, 31 Jan 2025 10:00:00 GMT"},
        {"Retry-After": "Fri, 31 Jan 2025 10:00:30 GMT", "Date": "today"},
        {"Retry-After": "Fri, 31 Jan 2025 10:00:30 -0000", "Date": "Fri, 31 Jan 2025 10:00:00 GMT"},
    ],
)
def test_a_time_that_cannot_be_read_is_left_out(headers: dict[str, str]) -> None:
    assert read_feedback(headers).retry_after is None
