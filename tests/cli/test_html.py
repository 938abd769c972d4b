"""The page of a report: whole, harmless, and without anything from elsewhere."""

import json
import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import cast

import plotly.graph_objects as go  # type: ignore[import-untyped]
import pytest
from attrs import evolve

from fathom_async._cli.figures import Line, Ranking, TimeSeries, Total
from fathom_async._cli.html.page import MOST_ROWS, HtmlPage, plot_of, told
from fathom_async._cli.output import Kind, Records

from .conftest import Command

MADE = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVIL = "</script><script>alert(1)</script><b>\"'"
RANKING = Ranking("pageviews", ("/", EVIL), (1200, 5))
COURSE = TimeSeries(
    "visits",
    "day",
    (date(2026, 1, 1), date(2026, 1, 2)),
    (Line("Chrome", (1, 2)), Line(EVIL, (3, None))),
)
COLUMNS: dict[str, Kind] = {"pathname": "text", "pageviews": "count"}
PAGE = HtmlPage(
    "Acme: pageviews",
    ["From then to now"],
    [RANKING, COURSE],
    Records(COLUMNS, [("/", 1200), (EVIL, 5)]),
    MADE,
)


class Outline(HTMLParser):
    """What a browser would find on the page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag in {"td", "dd"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside if tag != self._inside else ""

    def handle_data(self, data: str) -> None:
        if self._inside in {"td", "dd"}:
            self.cells[-1] += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_nothing_comes_from_elsewhere() -> None:
    outline = Outline(PAGE.html())
    for tag, attributes in outline.tags:
        assert not attributes.keys() & {"src", "href", "srcset", "action", "data"}, tag
    policy = next(each for each in outline.named("meta") if each.get("http-equiv"))
    assert "default-src 'none'" in str(policy["content"])
    assert "http" not in str(policy["content"])


def test_texts_of_visitors_stay_texts() -> None:
    outline = Outline(PAGE.html())
    assert outline.cells == ["/", "1,200", EVIL, "5"]
    assert not outline.named("b")
    assert "<script>alert" not in PAGE.html()


def drawn_by_plotly(figure: Ranking | TimeSeries) -> list[dict[str, object]]:
    """What plotly makes of a figure; it raises for what it does not know."""
    written = str(go.Figure(dict(plot_of(figure))).to_json())  # pyright: ignore[reportUnknownMemberType]
    assert "<b>" not in written, "labels are no markup"
    return cast("list[dict[str, object]]", json.loads(written)["data"])


def test_plotly_takes_the_figures_and_gets_no_markup_as_labels() -> None:
    (bars,) = drawn_by_plotly(RANKING)
    assert bars["x"] == [1200, 5]
    assert [line["y"] for line in drawn_by_plotly(COURSE)] == [[1, 2], [3, None]]


def test_figures_are_written_with_as_many_digits_under_the_mouse_as_in_the_table() -> None:
    (amounts,) = drawn_by_plotly(evolve(RANKING, values=(1597.5, 0.05)))
    (counts,) = drawn_by_plotly(RANKING)
    assert amounts["hovertemplate"] == "%{hovertext}<br>%{x:,.2f}<extra></extra>"
    assert counts["hovertemplate"] == "%{hovertext}<br>%{x:,}<extra></extra>"
    (line,) = drawn_by_plotly(evolve(COURSE, lines=(Line("", (12.34, None)),)))
    assert line["hovertemplate"] == "%{x}<br>%{y:,.2f}<extra></extra>"


def test_who_cannot_see_the_charts_is_told_and_has_the_table() -> None:
    outline = Outline(PAGE.html())
    figures = outline.named("figure")
    assert [each["role"] for each in figures] == ["img", "img"]
    assert figures[0]["aria-label"] == "Bar chart of pageviews: the highest is / with 1,200"
    assert told(COURSE) == "Line chart of visits by day, from 2026-01-01 to 2026-01-02"
    assert outline.named("html")[0]["lang"] == "en"
    assert [each["scope"] for each in outline.named("th")] == ["col", "col"]
    assert any(each.get("name") == "viewport" for each in outline.named("meta"))


def test_what_a_chart_leaves_out_is_counted() -> None:
    ranking, course = evolve(RANKING, left_out=12), evolve(COURSE, left_out=1)
    page = HtmlPage("Acme", [], [ranking, course], Records(COLUMNS, []), MADE).html()
    assert "The 2 highest; 12 groups more in the figures below." in page
    assert "The 2 highest; 1 group more in the figures below." in page
    assert " more in the figures below" not in PAGE.html()


def test_names_cannot_turn_the_text_around() -> None:
    page = HtmlPage("Ac\u202eme\x1b[2J", ["Where city is '\u202e'"], [], Records(COLUMNS, []), MADE).html()
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert r"<h1>Ac\u202eme\x1b[2J</h1>" in page


def test_dates_stay_in_one_line() -> None:
    days = Records({"date": "day", "visits": "count"}, [(date(2026, 11, 1), 5)])
    outline = Outline(HtmlPage("Acme", [], [], days, MADE).html())
    assert [each.get("class") for each in outline.named("td")] == ["date", "number"]


def test_a_phone_has_short_labels_and_room_for_bars() -> None:
    figure = plot_of(Ranking("visits", ("/" + "x" * 60,), (1,)))
    labels = cast("dict[str, dict[str, dict[str, list[str]]]]", figure)["layout"]["meta"]
    assert [len(each) for each in (labels["long"][0], labels["short"][0])] == [44, 18]


def test_figures_alone_need_no_script() -> None:
    page = HtmlPage("Acme", [], [Total("visits", 1200)], Records({"visits": "count"}, [(1200,)]), MADE).html()
    outline = Outline(page)
    assert not outline.named("script")
    assert outline.cells[0] == "1,200"


def test_what_is_left_out_of_a_long_table_is_counted() -> None:
    rows = Records({"visits": "count"}, [(1,)] * (MOST_ROWS + 7))
    assert "and 7 more rows: write them with --format csv" in HtmlPage("Acme", [], [], rows, MADE).html()


@pytest.mark.slow
async def test_the_command_writes_a_page_with_the_figures_of_the_report(
    command: Command, tmp_path: Path
) -> None:
    page = tmp_path / "browsers.html"
    ended = await command("report", "CDBUGS", "--by", "browser", "--html", str(page))
    assert (ended.code, ended.out, ended.err) == (0, "", f"fathom: wrote {page}\n")
    outline = Outline(page.read_text("utf-8"))
    rows = await command("report", "CDBUGS", "--by", "browser")
    expected = [json.loads(line) for line in rows.out.splitlines()]
    figures = [
        cell for row in expected for cell in (row["browser"], f"{row['pageviews']:,}", f"{row['visits']:,}")
    ]
    assert outline.cells == figures
    assert "Bugs Bunny Portfolio: pageviews, visits by browser" in page.read_text("utf-8")
    assert len(re.findall(r'id="plot-\d"', page.read_text("utf-8"))) == 2
