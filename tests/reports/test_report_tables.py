"""Reports are printed aligned, shortened and escaped."""

from collections.abc import Sequence

from fathom_async import EventQuery, PageviewQuery, Report
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.query import Query

QUERY = PageviewQuery("CDBUGS", aggregates=["pageviews", "bounce_rate"], field_grouping=["pathname"])
ROW = QUERY.codec.row


def as_text(query: Query[RowT], rows: Sequence[RowT], *, is_truncated: bool = False) -> str:
    return str(Report(query, tuple(rows), truncated=is_truncated))


def as_html(query: Query[RowT], rows: Sequence[RowT], *, is_truncated: bool = False) -> str:
    return Report(query, tuple(rows), truncated=is_truncated)._repr_html_()  # pyright: ignore[reportPrivateUsage]


def test_numbers_are_to_the_right() -> None:
    assert as_text(QUERY, [ROW("/", 1200, 0.25), ROW(None, 7, None)]) == (
        "pathname  pageviews  bounce_rate\n"
        "--------  ---------  -----------\n"
        "/             1,200         0.25\n"
        "-                 7            -"
    )


def test_money_says_that_it_is_in_cents() -> None:
    query = EventQuery("CDBUGS", "purchase", aggregates=["conversions", "value"])
    row = query.codec.row(2, 199900)
    assert as_text(query, [row]) == (
        "conversions  value (cents)\n-----------  -------------\n          2        199,900"
    )
    assert "<th>value (cents)</th>" in as_html(query, [row])


def test_only_the_first_rows_are_shown() -> None:
    assert as_text(QUERY, [ROW("/", 1, 0.0)] * 21).endswith("\n… and 1 more row")
    assert as_html(QUERY, [ROW("/", 1, 0.0)] * 1060).endswith("<p>… and 1,000 more rows</p>")


def test_a_long_text_is_cut() -> None:
    assert as_text(QUERY, [ROW("/" * 60, 1, 0.0)]).splitlines()[2].startswith("/" * 47 + "…  ")


def test_nothing_is_shown_of_no_rows_but_the_columns() -> None:
    assert as_text(QUERY, []) == "pathname  pageviews  bounce_rate\n--------  ---------  -----------"
    assert "<tbody></tbody>" in as_html(QUERY, [])


def test_what_visitors_choose_steers_neither_terminal_nor_page() -> None:
    row = ROW("/\x1b[31m\n<script>alert('&')</script>", 1, 0.0)

    assert "/\\x1b[31m\\n<script>" in as_text(QUERY, [row])
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in as_html(QUERY, [row])


def test_a_report_that_was_cut_off_says_so() -> None:
    rows = [ROW("/", 1, 0.0)] * 1000
    assert as_text(QUERY, rows, is_truncated=True).endswith(
        "… and 980 more rows\ncut off at 1,000 rows; there may be more"
    )
    assert as_html(QUERY, rows[:1], is_truncated=True).endswith("<p>cut off at 1 row; there may be more</p>")
