"""Reports are printed aligned, shortened and escaped."""

from collections.abc import Sequence

from fathom_async._core.codec.rows import Column, Row, row_codec
from fathom_async._reports.display import table
from fathom_async._reports.rows import EventRow, PageviewRow
from fathom_async._util.tables import table_html, table_text

COLUMNS = (Column("pathname", "text"), Column("pageviews", "count"), Column("bounce_rate", "number"))
ROW = row_codec(COLUMNS, PageviewRow).row


def as_text(columns: Sequence[Column], rows: Sequence[Row], *, is_truncated: bool = False) -> str:
    return table_text(*table(columns, rows, is_truncated=is_truncated))


def as_html(columns: Sequence[Column], rows: Sequence[Row], *, is_truncated: bool = False) -> str:
    return table_html(*table(columns, rows, is_truncated=is_truncated))


def test_numbers_are_to_the_right() -> None:
    assert as_text(COLUMNS, [ROW("/", 1200, 0.25), ROW(None, 7, None)]) == (
        "pathname  pageviews  bounce_rate\n"
        "--------  ---------  -----------\n"
        "/             1,200         0.25\n"
        "-                 7            -"
    )


def test_money_says_that_it_is_in_cents() -> None:
    columns = (Column("conversions", "count"), Column("value", "count"))
    row = row_codec(columns, EventRow).row(2, 199900)
    assert as_text(columns, [row]) == (
        "conversions  value (cents)\n-----------  -------------\n          2        199,900"
    )
    assert "<th>value (cents)</th>" in as_html(columns, [row])


def test_only_the_first_rows_are_shown() -> None:
    assert as_text(COLUMNS, [ROW("/", 1, 0.0)] * 21).endswith("\n… and 1 more row")
    assert as_html(COLUMNS, [ROW("/", 1, 0.0)] * 1060).endswith("<p>… and 1,000 more rows</p>")


def test_a_long_text_is_cut() -> None:
    assert as_text(COLUMNS, [ROW("/" * 60, 1, 0.0)]).splitlines()[2].startswith("/" * 47 + "…  ")


def test_nothing_is_shown_of_no_rows_but_the_columns() -> None:
    assert as_text(COLUMNS, []) == "pathname  pageviews  bounce_rate\n--------  ---------  -----------"
    assert "<tbody></tbody>" in as_html(COLUMNS, [])


def test_what_visitors_choose_steers_neither_terminal_nor_page() -> None:
    row = ROW("/\x1b[31m\n<script>alert('&')</script>", 1, 0.0)

    assert "/\\x1b[31m\\n<script>" in as_text(COLUMNS, [row])
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in as_html(COLUMNS, [row])


def test_a_report_that_was_cut_off_says_so() -> None:
    rows = [ROW("/", 1, 0.0)] * 1000
    assert as_text(COLUMNS, rows, is_truncated=True).endswith(
        "… and 980 more rows\ncut off at 1,000 rows; there may be more"
    )
    assert as_html(COLUMNS, rows[:1], is_truncated=True).endswith(
        "<p>cut off at 1 row; there may be more</p>"
    )
