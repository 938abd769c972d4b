"""What one request of a run came to: reports to hand out, or an error that may not hold for every part of it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Generic

import attrs

from fathom_async._bulk.fusing import Fused
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report
from fathom_async.errors import APIError, DecodeError, FathomError, ServerError

_REFUSED_QUESTIONS = (
    # A part of what was fused may be good where the whole was refused.
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


@attrs.frozen
class Answer(Generic[RowT]):
    """The server's answer to one request.

    Attributes:
        reports: The report of each query that was asked; that of the request itself where it is not trusted.
        asked_at: Unix seconds when it was asked.
        is_trusted: Whether the reports of the queries could be told from it.
    """

    reports: Mapping[Query[RowT], Report[RowT]]
    asked_at: float
    is_trusted: bool


def answer_to(group: Fused[RowT], report: Report[RowT], asked_at: float) -> Answer[RowT]:
    """Return the answer that a report of a fused request is."""
    parts = group.split(report)
    if parts is None:
        return Answer({group.query: report}, asked_at, is_trusted=False)
    queries = [asked.query for asked in group.asked]
    return Answer(dict(zip(queries, parts, strict=True)), asked_at, is_trusted=True)


def is_refused_question(error: FathomError) -> bool:
    """Whether the server refused what was asked, rather than failed to answer it."""
    return isinstance(error, APIError) and error.status in _REFUSED_QUESTIONS


def may_be_in_part(error: FathomError) -> bool:
    """Whether a part of a question may be answered where the whole was not."""
    return is_refused_question(error) or isinstance(error, ServerError | TimeoutError | DecodeError)


def as_asked(query: Query[RowT], report: Report[RowT]) -> Report[RowT]:
    """Return the report with the columns in the order of the query, which asks for the same."""
    if query.columns == report.columns:
        return attrs.evolve(report, query=query)
    return attrs.evolve(query.read(report.to_json()), truncated=report.truncated)
