"""The page of a report: whole, harmless, and without anything from elsewhere."""

import json
import re
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve

from fathom_async import Comparison, EventQuery, PageviewQuery, Report
from fathom_async._cli.figures import LINES, RANKED
from fathom_async._cli.html.page import MOST_ROWS, HtmlPage
from fathom_async.reports import Query, Row
from fathom_async.testing import FathomServer

from .conftest import Command

NOW = datetime(2026, 1, 31, 17, 20, tzinfo=ZoneInfo("Europe/Berlin"))
EVIL = "</title><script>alert(1)</script><b>\"'"
PAGES = PageviewQuery(
    "CDBUGS",
    aggregates=["pageviews", "visits"],
    field_grouping=["pathname"],
    date_from="2026-01-01",
    date_to="2026-01-31 16:59:59",
)
DAYS = PAGES.replace(field_grouping=[], date_grouping="day", date_from="2026-01-29")
TEXTS = {"td", "th", "dt", "dd", "h1", "h2", "p", "caption", "span", "title", "desc", "figcaption"}


class Outline(HTMLParser):
    """What a browser would find on the page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[int] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in TEXTS:
            self._open.append(len(self.texts))
            self.texts.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in TEXTS:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for place in self._open:
            tag, text = self.texts[place]
            self.texts[place] = tag, text + data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def told(self, tag: str) -> list[str]:
        return [" ".join(text.split()) for name, text in self.texts if name == tag]


def report_of(query: Query[Row], *rows: tuple[object, ...]) -> Report[Row]:
    return Report(query, tuple(query.codec.row(*row) for row in rows))


def page_of(query: Query[Row], *rows: tuple[object, ...]) -> HtmlPage:
    return HtmlPage(report_of(query, *rows), "Acme", NOW)


def outline_of(query: Query[Row], *rows: tuple[object, ...]) -> Outline:
    return Outline(page_of(query, *rows).html())


def compared(page: HtmlPage, now: tuple[object, ...], before: tuple[object, ...]) -> HtmlPage:
    totals = page.report.query.replace(field_grouping=(), date_grouping=None, sort_by=None, limit=None)
    former = totals.replace(date_from="2025-12-01", date_to="2025-12-31 16:59:59")
    return evolve(page, comparison=Comparison(report_of(totals, now), report_of(former, before)))


def test_nothing_comes_from_elsewhere_and_nothing_runs() -> None:
    outline = outline_of(PAGES, ("/", 1200, 700), (EVIL, 5, 5))
    for tag, attributes in outline.tags:
        assert not attributes.keys() & {"src", "href", "srcset", "action", "data"}, tag
        assert not any(name.startswith("on") for name in attributes), tag
    assert not outline.named("script")
    policy = next(each for each in outline.named("meta") if each.get("http-equiv"))
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_texts_of_visitors_stay_texts() -> None:
    course = DAYS.replace(field_grouping=["pathname"])
    for query, row in ((PAGES, (EVIL, 5, 5)), (course, (date(2026, 1, 30), EVIL, 5, 5))):
        outline = Outline(evolve(page_of(query, row), site=EVIL).html())
        assert any(EVIL in text for _, text in outline.texts)
        assert outline.told("h1") == [EVIL]
        assert not outline.named("b")
        assert not outline.named("script")


def test_names_cannot_turn_the_text_around() -> None:
    page = evolve(page_of(PAGES, ("/\u202e", 1, 1)), site="Ac\u202eme\x1b[2J").html()
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert r"<h1>Ac\u202eme\x1b[2J</h1>" in page


def test_people_read_what_the_report_is_about() -> None:
    outline = outline_of(PAGES, ("/", 1200, 700))
    assert outline.told("title")[0] == "Acme: Pageviews and visits by page"
    assert outline.told("p")[:2] == [
        "Pageviews and visits by page",
        "1\N{EN DASH}31 Jan 2026, until 17:00, Europe/Berlin",
    ]
    assert outline.told("h2") == ["Pageviews by page"]
    assert [each["scope"] for each in outline.named("th")] == ["col", "col", "col", "row"]
    assert outline.named("html")[0]["lang"] == "en"


def test_totals_are_those_that_are_exact() -> None:
    rows = (("/", 1200, 700), ("/a", 34, 20))
    assert outline_of(PAGES, *rows).told("dt") == ["Pageviews"], "visits of pages are not summed"
    assert outline_of(PAGES, *rows).told("dd") == ["1,234"]
    page = compared(page_of(PAGES, *rows), (1234, 710), (1000, 0))
    assert Outline(page.html()).told("dt") == ["Pageviews", "Visits"]
    assert Outline(page.html()).told("dd") == [
        *("1,234", "▲up 23 %", "1,000 before"),
        *("710", "▲up from 0", "0 before"),
    ]
    assert "Compared with 1\N{EN DASH}31 Dec 2025, until 17:00" in Outline(page.html()).told("p")


def test_a_share_changes_by_points_and_more_of_an_average_is_neither_good_nor_bad() -> None:
    query = PAGES.replace(field_grouping=(), aggregates=["bounce_rate", "avg_duration", "visits"])
    page = compared(page_of(query, (0.44, 121.2, 90)), (0.44, 121.2, 90), (0.455, None, 100)).html()
    assert Outline(page).told("dd") == [
        *("44 %", "▼down 1.5 points", "46 % before"),
        "2:01 min",
        *("90", "▼down 10 %", "100 before"),
    ]
    assert re.findall(r'class="change (\w+)"', page) == ["same", "down"]


def test_the_whole_range_is_on_the_axis_and_in_the_table() -> None:
    outline = outline_of(DAYS, (date(2026, 1, 30), 5, 3))
    assert [each for each in outline.told("title") if each.startswith(("29", "30", "31"))][:3] == [
        "29 Jan 2026: 0",
        "30 Jan 2026: 5",
        "31 Jan 2026: 0",
    ]
    assert outline.told("td") == ["0", "0", "5", "3", "0", "0"]
    assert outline.told("caption") == ["3 rows"]


def test_a_date_that_is_not_over_is_marked() -> None:
    rows = [(date(2026, 1, day), 5, 3) for day in (29, 30, 31)]
    outline = outline_of(DAYS, *rows)
    assert "Incomplete: 31 Jan 2026, until 17:00" in outline.told("p")
    assert [each["class"] for each in outline.named("rect")] == (
        ["reach", "front", "reach", "front", "reach", "front unfinished"] * 2
    )
    past = outline_of(DAYS.replace(date_to="2026-01-30"), *rows[:2])
    assert not any("Incomplete" in each for each in past.told("p"))
    months = DAYS.replace(date_grouping="month", date_from="2025-12-01")
    assert "Incomplete: Jan 2026, until 31 Jan 2026" in outline_of(months, (date(2026, 1, 1), 1, 1)).told("p")


def test_a_chart_tells_what_it_shows_in_words() -> None:
    outline = outline_of(DAYS, (date(2026, 1, 30), 1500, 3))
    assert "Pageviews per day, 29\N{EN DASH}31 Jan 2026, until 17:00" in outline.told("title")
    assert outline.told("desc")[0] == "The highest is 30 Jan 2026: 1,500. The figures are in the table."
    assert all(each["role"] == "img" or each["aria-hidden"] for each in outline.named("svg"))


def test_values_stand_on_few_bars() -> None:
    outline = outline_of(DAYS, (date(2026, 1, 30), 12345, 3))
    assert [each for each in outline.told("span") if each in {"12.3k", "0"}].count("12.3k") == 1
    many = outline_of(DAYS.replace(date_from="2026-01-01"), (date(2026, 1, 30), 12345, 3))
    assert "12.3k" not in many.told("span")


def test_averages_are_ranked_by_volume() -> None:
    query = PAGES.replace(aggregates=["bounce_rate", "visits"], sort_by="bounce_rate:desc")
    outline = outline_of(query, ("/rare", 1.0, 1), ("/", 0.4, 900))
    assert outline.told("h2") == ["Visits by page", "All figures"]
    assert outline.told("td") == ["40 %", "900", "100 %", "1", "/rare", "100 %", "1", "/", "40 %", "900"]


def test_what_a_ranking_leaves_out_is_in_a_row_of_its_own() -> None:
    rows = [(f"/{place}", 100 - place, 10) for place in range(RANKED + 5)]
    left_out = sum(row[1] for row in rows[RANKED:])
    outline = outline_of(PAGES, *rows)
    other = outline.told("th").index("Other (5)")
    assert other == 3 + RANKED
    assert outline.told("td")[2 * RANKED : 2 * RANKED + 2] == [str(left_out), "\N{EN DASH}"]
    cut = PAGES.replace(limit=3, sort_by="pageviews:desc")
    assert "Other" not in outline_of(cut, *rows[:3]).told("span"), "nobody knows the total"
    told = Outline(compared(page_of(cut, *rows[:3]), (1000, 500), (900, 500)).html())
    assert told.told("td")[-2:] == [str(1000 - 100 - 99 - 98), "\N{EN DASH}"]


def test_the_table_says_how_many_rows_there_are_and_where() -> None:
    rows = [(f"/{place}", 5000 - place, 10) for place in range(1000)]
    page = page_of(PAGES, *rows)
    (told,) = Outline(page.html()).told("caption")
    assert told.startswith(f"The first {MOST_ROWS} of 1,000 rows; --output report.csv writes all of them; ")
    assert told.endswith("the report stops at 1,000, so there may be more")
    (told,) = Outline(evolve(page, rest="report.csv").html()).told("caption")
    assert f"{MOST_ROWS} of 1,000 rows; the rest is in report.csv" in told
    assert len(page.html().encode()) < 200_000


def test_groups_over_time_are_small_charts_of_one_scale() -> None:
    query = DAYS.replace(field_grouping=["pathname"], aggregates=["pageviews"])
    rows = [(date(2026, 1, day), f"/{place}", 10 + place) for day in (29, 30) for place in range(LINES + 2)]
    outline = outline_of(query, *rows)
    assert outline.told("figcaption") == [f"/{place}" for place in range(LINES + 1, 1, -1)]
    assert f"The {LINES} largest of {LINES + 2} groups." in outline.told("p")
    assert outline.told("dd") == [str(sum(row[2] for row in rows))]


def test_zeros_are_not_made_up_where_rows_may_be_missing() -> None:
    query = DAYS.replace(
        field_grouping=["pathname"], aggregates=["pageviews"], limit=2, sort_by="pageviews:desc"
    )
    rows = [(date(2026, 1, 29), "/", 9), (date(2026, 1, 31), "/", 8)]
    lines = [str(each["d"]) for each in outline_of(query, *rows).named("path") if each["class"] == "front"]
    assert [line.count("M") for line in lines] == [2]
    assert "L" not in lines[0], "two points, and nothing known between them"


def test_a_report_without_rows_and_one_of_nulls_say_so() -> None:
    assert outline_of(DAYS).told("p")[-2] == "Nothing was counted in this period."
    assert not outline_of(DAYS).named("svg")
    query = DAYS.replace(aggregates=["avg_duration"])
    outline = outline_of(query, (date(2026, 1, 30), None))
    assert outline.told("p")[-2] == "No value in this period."
    assert outline.told("td") == ["\N{EN DASH}"] * 3
    assert outline_of(PAGES.replace(field_grouping=()), (1200, 700)).told("dd") == ["1,200", "700"]


def test_money_is_in_its_currency_everywhere() -> None:
    query = EventQuery(
        "CDBUGS", "purchase", aggregates=["value"], date_grouping="day", date_from="2026-01-31"
    )
    for currency, label, figure in ((None, "Value (cents)", "1,999"), ("EUR", "Value (EUR)", "19.99")):
        outline = Outline(evolve(page_of(query, (date(2026, 1, 31), 1999)), currency=currency).html())
        assert (outline.told("dt"), outline.told("h2")[0]) == ([label], f"{label} per day")
        assert (outline.told("td"), outline.told("dd")) == ([figure], [figure])
        assert f"31 Jan 2026: {figure}" in outline.told("title")


def test_a_long_report_makes_a_small_page() -> None:
    start, metrics = date(2020, 1, 1), ["pageviews", "visits", "uniques", "avg_duration", "bounce_rate"]
    query = DAYS.replace(aggregates=metrics, date_from=start)
    days = (NOW.date() - start).days + 1
    page = page_of(
        query, *[(start + timedelta(days=day), 5000 + day, 9, 9, 61.5, 0.5) for day in range(days)]
    )
    assert len(page.html().encode()) < 200_000
    assert "Each point is the highest of 5 days." in Outline(page.html()).told("p")
    grouped = query.replace(field_grouping=["pathname"], date_from="2025-02-01")
    rows = [(date(2025, 2, 1) + timedelta(days=day), "/" * (group + 1) * 300, day, 9, 9, 61.5, 0.5)
            for day in range(364) for group in range(10)]  # fmt: skip
    assert len(page_of(grouped, *rows).html().encode()) < 200_000


@pytest.mark.slow
async def test_the_command_writes_a_page_with_the_figures_of_the_report(
    command: Command, tmp_path: Path
) -> None:
    page = tmp_path / "browsers.html"
    ended = await command("report", "CDBUGS", "--by", "browser", "--html", str(page))
    assert (ended.code, ended.out, ended.err) == (0, "", f"fathom: wrote {page}\n")
    rows = await command("report", "CDBUGS", "--by", "browser")
    expected = [json.loads(line) for line in rows.out.splitlines()]
    outline = Outline(page.read_text("utf-8"))
    assert outline.told("h1") == ["Bugs Bunny Portfolio"]
    assert outline.told("td") == [f"{row[name]:,}" for row in expected for name in ("pageviews", "visits")]
    assert outline.told("dd") == [f"{sum(row['pageviews'] for row in expected):,}"]


_JUNE: Final = (
    "--from",
    "2026-06-01",
    "--to",
    "2026-06-30",
)  # no clock shows its ends, or those of May, twice


@pytest.mark.parametrize(
    ("arguments", "reports"),
    [
        (_JUNE, 1),
        ((*_JUNE, "--compare", "none"), 1),
        ((*_JUNE, "--metrics", "pageviews", "--per", "day"), 1),
        (("--period", "last 30 days", "--per", "day"), 3),
        (("--period", "last 30 days", "--per", "day", "--compare", "year"), 3),
        (("--per", "day"), 1),
    ],
)
async def test_a_comparison_is_one_run_and_none_costs_nothing(
    command: Command, fathom_server: FathomServer, tmp_path: Path, arguments: tuple[str, ...], reports: int
) -> None:
    page = tmp_path / "page.html"
    assert (await command("report", "CDBUGS", *arguments, "--html", str(page))).code == 0
    assert sum(hit.lane == "reports" for hit in fathom_server.hits) == reports
    has_range = arguments != ("--per", "day")
    assert ("Compared with" in page.read_text("utf-8")) == (has_range and "none" not in arguments)


async def test_rows_are_filled_on_wish(command: Command) -> None:
    nothing = ("report", "CDBUGS", "--metrics", "visits", "--where", "pathname is /nowhere")
    january = (*nothing, "--per", "day", "--from", "2026-01-01", "--to", "2026-01-03")
    assert (await command(*january)).out == ""
    ended = await command(*january, "--fill")
    assert [json.loads(line) for line in ended.out.splitlines()] == [
        {"date": f"2026-01-0{day}", "visits": 0} for day in (1, 2, 3)
    ]
    cut = await command("report", "CDBUGS", "--per", "day", "--limit", "1", "--fill")
    assert cut.code == 2
    assert "leave out --limit" in cut.err
    both = await command(*january, "--fill", "--compare", "previous")
    assert (both.code, "leave out --chart and --fill" in both.err) == (2, True)
