"""The page of ``fathom report --html``, opened from disk without a network."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.async_api import Browser

from fathom_async import PageviewQuery, Report
from fathom_async._cli.html.page import HtmlPage
from fathom_async.reports import PageviewAggregate, Query, Row

NOW: Final = datetime(2026, 11, 18, 15, tzinfo=UTC)
START: Final = date(2026, 10, 20)
PATHS: Final = [
    f"/blog/2026/{number:02d}/an-article-about-&-<things>" + "-or-so" * number for number in range(25)
]
METRICS: Final[list[PageviewAggregate]] = ["pageviews", "visits", "uniques", "avg_duration", "bounce_rate"]
PAGES: Final = PageviewQuery("ACME", aggregates=METRICS, field_grouping=["pathname"])
DAYS: Final = PageviewQuery(
    "ACME", aggregates=METRICS, date_grouping="day", date_from=START, date_to="2026-11-18"
)
MONTHS: Final = DAYS.replace(date_grouping="month", date_from="2025-12-01")
COURSE: Final = DAYS.replace(field_grouping=["pathname"])

SCROLLING = (
    """() => [...document.querySelectorAll(".rows")].some(each => each.scrollWidth > each.clientWidth)"""
)
CLIPPED = """() => [...document.querySelectorAll("h1, h2, p, dt, dd, th, td, .marks span, .scale span, .values span")]
  .filter(each => {
    const box = each.getBoundingClientRect();
    return box.width > 0 && (box.left < 0 || box.right > document.documentElement.clientWidth);
  }).map(each => each.textContent)"""
OVERLAPPING = """() => [...document.querySelectorAll(".marks")].some(marks => {
  const boxes = [...marks.children].map(each => each.getBoundingClientRect()).filter(box => box.width > 0);
  return boxes.some((box, place) => place > 0 && box.left < boxes[place - 1].right);
})"""


def report_of(query: Query[Row], *rows: tuple[object, ...]) -> Report[Row]:
    return Report(query, tuple(query.codec.row(*row) for row in rows))


def figures(number: int) -> tuple[object, ...]:
    return 12_000 + number, 8_000 + number, 7_000 + number, 61.5 + number, 0.44


REPORTS: Final = {
    "ranking": report_of(PAGES, *[(path, *figures(-number)) for number, path in enumerate(PATHS)]),
    "days": report_of(DAYS, *[(START + timedelta(days=number), *figures(number)) for number in range(30)]),
    "months": report_of(MONTHS, *[(date(2026, number, 1), *figures(number)) for number in range(1, 12)]),
    "course": report_of(COURSE, *[(START, path, *figures(number)) for number, path in enumerate(PATHS)]),
    "nothing": report_of(DAYS),
}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_report_opens_without_a_network_and_fits_its_screen(
    browser: Browser, pictures: Path, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    said: list[str] = []
    for name, report in REPORTS.items():
        file = tmp_path / f"{name}.html"
        file.write_text(HtmlPage(report, "Acme", NOW).html(), "utf-8")
        page = await context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        await page.goto(file.as_uri())
        await page.screenshot(path=pictures / f"report-{name}-{scheme}-{width}.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, name
        is_widest = (name, width) == ("course", 390)  # a date, a path and five figures scroll in their region
        assert await page.evaluate(SCROLLING) == is_widest
        assert is_widest or await page.evaluate(CLIPPED) == [], name
        assert not await page.evaluate(OVERLAPPING), name
        ground = str(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert (ground == "rgb(245, 245, 248)") == (scheme == "light")
    await context.close()
    assert said == []


async def test_a_report_prints_its_whole_width_in_light_colours(browser: Browser, tmp_path: Path) -> None:
    context = await browser.new_context(viewport={"width": 718, "height": 1000}, color_scheme="dark")
    for name, report in REPORTS.items():
        file = tmp_path / f"{name}.html"
        file.write_text(HtmlPage(report, "Acme", NOW).html(), "utf-8")
        page = await context.new_page()
        await page.goto(file.as_uri())
        await page.emulate_media(media="print")
        assert await page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 27, 38)"
        assert await page.evaluate(CLIPPED) == [], name
        assert (await page.pdf(format="A4")).startswith(b"%PDF")
    await context.close()
