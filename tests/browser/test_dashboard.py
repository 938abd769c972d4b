"""The dashboard in a browser: narrow and wide, light and dark."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from examples.dashboard.app import create_app
from examples.dashboard.settings import Settings
from fathom_async import FathomClient, PageviewQuery, RateLimit, RatePlan
from fathom_async.testing import Dataset, FathomServer
from tests.support.serving import serving

PLENTY = RatePlan(reports=RateLimit(1_000, per=60))
SPEED = 60.0
NOT_KNOWN = "\N{EN DASH}"
DATA = Dataset.synthetic(days=740, visits_per_day=80)

Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def open_page(browser: Browser) -> AsyncGenerator[Open]:
    """Opens the dashboard; at the end nothing may have been written to the console."""
    said: list[str] = []
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(FathomServer(data=DATA, reports_throttle=None, speed=SPEED))
        async with FathomClient("any", base_url=server.url, timeout=300) as fathom:  # makes up the data
            await fathom.reports.aggregate(PageviewQuery("CDBUGS", aggregates=["visits"]))
        settings = Settings("any", base_url=server.url, plan=PLENTY, speed=SPEED)
        visitor = await stack.enter_async_context(serving(create_app(settings)))

        async def open_page(
            address: str = "/",
            *,
            width: int = 1280,
            scheme: Literal["light", "dark"] = "light",
        ) -> Page:
            context = await browser.new_context(
                base_url=str(visitor._base_url),  # pyright: ignore[reportPrivateUsage]
                viewport={"width": width, "height": 900},
                color_scheme=scheme,
            )
            stack.push_async_callback(context.close)
            page = await context.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            await page.goto(address)
            await expect(page.locator("[data-pending]")).to_have_count(0, timeout=30_000)
            return page

        yield open_page
    assert said == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_page_fits_its_screen(
    open_page: Open, pictures: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = await open_page(width=width, scheme=scheme)
    await expect(page.locator("section.site")).to_have_count(3)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = sum(int(part) for part in re.findall(r"\d+", str(background))[:3]) / 3
    assert (lightness > 128) == (scheme == "light")
    picture = await page.screenshot(path=pictures / f"dashboard-{scheme}-{width}.png", full_page=True)
    assert len(picture) > 20_000, "an empty page is small"


async def test_a_range_is_picked_with_the_keyboard(open_page: Open) -> None:
    page = await open_page()
    await page.get_by_role("link", name="7 days").focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_title("7 days · Dashboard")
    await expect(page.locator("[data-pending]")).to_have_count(0, timeout=30_000)
    for chart in await page.get_by_role("slider").all():
        await expect(chart.locator("rect.front")).to_have_count(7)


async def test_the_figures_of_a_bar_are_told_by_key_pointer_and_tap(open_page: Open) -> None:
    page = await open_page("/?range=7d&site=CDBUGS")
    chart, tip = page.get_by_role("slider"), page.locator(".tip")
    await expect(tip).to_be_hidden()
    await chart.focus()
    last = await tip.inner_text()
    await page.keyboard.press("ArrowLeft")
    await expect(tip).not_to_have_text(last)
    await expect(tip).to_have_text(re.compile(r"^\d+ \w+: \d+ visits, \d+ pageviews$"))
    await expect(chart).to_have_attribute("aria-valuetext", await tip.inner_text())
    await page.keyboard.press("End")
    await expect(tip).to_have_text(last)
    await chart.blur()
    await expect(tip).to_be_hidden()
    await chart.locator("rect.reach").first.hover(force=True)
    await expect(tip).not_to_have_text(last)
    await chart.locator("rect.reach").last.dispatch_event("pointerdown")
    await expect(tip).to_have_text(last)


async def test_sites_are_picked(open_page: Open) -> None:
    page = await open_page()
    await page.locator(".picker summary").click()
    await page.get_by_role("checkbox", name="Acme Inc").uncheck()
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("section.site")).to_have_count(2)
    await page.get_by_role("link", name="7 days").click()
    await expect(page).to_have_title("7 days · Dashboard")
    await expect(page.locator("section.site")).to_have_count(2)


async def test_a_page_that_nobody_sees_does_not_look(open_page: Open) -> None:
    page = await open_page()
    await page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert await page.evaluate("source") is None
    await page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    assert await page.evaluate("source.readyState") in {0, 1}


async def test_a_server_that_is_gone_is_told_and_what_is_shown_stays(open_page: Open) -> None:
    page = await open_page()
    await expect(page.locator(".cut-off")).to_be_hidden()
    await page.add_init_script(
        "EventSource = class { constructor() { setTimeout(() => this.onerror()); }"
        " addEventListener() {} close() {} }"
    )
    await page.reload()
    await expect(page.get_by_text("The dashboard's server does not answer; trying again.")).to_be_visible()
    await expect(page.locator(".figures")).to_have_count(3)


async def test_the_figures_open_as_a_table_with_the_keyboard(open_page: Open) -> None:
    page = await open_page()
    figures = page.locator("details[data-keep]").first
    await figures.locator("summary").focus()
    await page.keyboard.press("Enter")
    await expect(figures.locator("tbody tr")).to_have_count(30)
    await expect(figures.locator("tbody tr").first).to_be_visible()


async def test_the_live_number_changes_by_itself(open_page: Open) -> None:
    page = await open_page()
    live = page.locator("output[data-live]").first
    await expect(live).to_have_text(re.compile(r"^\d+$"), timeout=30_000)
    before = await live.inner_text()
    await expect(live).not_to_have_text(before, timeout=30_000)
    await expect(live).to_have_text(re.compile(r"^\d+$"))


async def test_a_live_number_that_nobody_renews_gets_old_and_is_forgotten(open_page: Open) -> None:
    page = await open_page()
    live = page.locator("output[data-live]")
    await expect(live).to_have_text([re.compile(r"^\d+$")] * 3, timeout=30_000)
    # a stream that stands still
    await page.add_init_script("EventSource = class { addEventListener() {} close() {} }")
    await page.clock.install()
    await page.reload()
    await page.clock.fast_forward("04:00")
    await expect(live).to_have_text([re.compile(r"^\d+$")] * 3)
    await expect(page.locator(".live.is-old")).to_have_count(0)
    await page.clock.fast_forward("04:00")
    await expect(live).to_have_text([re.compile(r"^\d+$")] * 3)
    await expect(page.locator(".live.is-old .ago").first).to_have_text(": 8 min ago")
    await page.clock.fast_forward("01:00:00")
    await expect(live).to_have_text([NOT_KNOWN] * 3)
