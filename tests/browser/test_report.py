"""The page of ``fathom report --html``, opened from disk without a network."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser

from fathom_async._cli.figures import figures_of
from fathom_async._cli.html.page import HtmlPage
from fathom_async._cli.output import Kind, Records

PATHS = [
    f"/blog/2026/{number:02d}/a-rather-long-title-of-an-article-about-&-<things>" for number in range(25)
]
DAYS = [date(2026, 10, 20) + timedelta(days=number) for number in range(30)]
LINES = """cell => {
  const text = document.createRange();
  text.selectNodeContents(cell);
  return text.getClientRects().length;
}"""
RANKING: dict[str, Kind] = {"pathname": "text", "pageviews": "count"}
COURSE: dict[str, Kind] = {"date": "day", "pathname": "text", "pageviews": "count"}


def page_of(
    columns: dict[str, Kind], rows: Sequence[tuple[int | date | str, ...]], unit: Literal["day"] | None
) -> str:
    """Write a page of the pageviews of these rows."""
    figures = figures_of(tuple(columns), rows, metrics=["pageviews"], unit=unit)
    return HtmlPage("Acme", ["From then to now"], figures, Records(columns, rows), datetime.now(UTC)).html()


def written(directory: Path) -> list[Path]:
    """Write a page of a ranking, and one of a course."""
    ranking = [(path, 1200 - number) for number, path in enumerate(PATHS)]
    course = [(day, path, 3 + number) for number, path in enumerate(PATHS) for day in DAYS]
    pages = {"ranking.html": page_of(RANKING, ranking, None), "course.html": page_of(COURSE, course, "day")}
    for name, page in pages.items():
        (directory / name).write_text(page, "utf-8")
    return [directory / name for name in pages]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_report_opens_without_a_network_and_fits_its_screen(
    browser: Browser, pictures: Path, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    said: list[str] = []
    for file in written(tmp_path):
        page = await context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        await page.goto(file.as_uri())
        await page.locator(".main-svg .xtick").first.wait_for()
        await page.screenshot(path=pictures / f"report-{file.stem}-{scheme}-{width}.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, (
            "nothing is beside the page"
        )
        plot = await page.locator(".js-plotly-plot").bounding_box()
        labels = [await each.bounding_box() for each in await page.locator(".yaxislayer-above text").all()]
        assert plot is not None
        assert labels
        assert all(label is not None and label["x"] >= plot["x"] for label in labels), "no label is cut off"
        if file.stem == "ranking":
            bars = await page.locator(".bars .point").first.bounding_box()
            assert bars is not None
            assert bars["width"] > 0.4 * plot["width"], "the bars have room"
            assert await page.get_by_text("The 20 highest; 5 groups more in the figures below.").is_visible()
        else:
            assert await page.locator("td.date").first.evaluate(LINES) == 1, "a date is in one line"
    await context.close()
    assert said == []
