"""The application: ``uvicorn --factory examples.dashboard.app:create_app --workers 4``."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from attrs import frozen
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles

from examples.dashboard.boards import Boards
from examples.dashboard.live import Live, age
from examples.dashboard.pages import Panel, Renderer
from examples.dashboard.ranges import RangeName
from examples.dashboard.settings import Settings
from examples.dashboard.sites import Sites
from examples.dashboard.stopping import when_told_to_stop
from fathom_async import FathomError, Site, WaitTooLongError
from fathom_async.integrations.fastapi import (
    fathom_lifespan,
    health_router,
    install_error_handlers,
    reply_to,
)
from fathom_async.store import open_store

_HERE = Path(__file__).parent
_PAGE_WAITS = 0.05
"""Seconds for which a page waits for a board; the script fills in slower ones."""
_FILLING_WAITS = 25.0
_WARM_UP = 1.0
"""Seconds for which a starting worker waits for cached boards."""
_RANGE = Query(alias="range")

_HEADERS: Mapping[str, str] = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@frozen
class Dashboard:
    """State that the routes of one worker share."""

    sites: Sites
    boards: Boards
    live: Live
    pages: Renderer

    async def panels(self, name: RangeName) -> tuple[Panel, ...]:
        """Return a panel for each site, with a message in place of a board that is not ready."""
        async with asyncio.TaskGroup() as group:
            panels = [group.create_task(self._panel(site, name)) for site in self.sites.all]
        return tuple(panel.result() for panel in panels)

    async def _panel(self, site: Site, name: RangeName) -> Panel:
        live = self.live.count(site.id)
        try:
            board = await self.boards.get(site, name, within=_PAGE_WAITS)
        except WaitTooLongError:
            return Panel(site, live, message="Loading…")
        except FathomError as error:
            return Panel(site, live, message=reply_to(error).detail)
        return Panel(site, live, board=self.pages.board(board))


async def _dashboard(request: Request) -> Dashboard:
    dashboard: Dashboard = request.state.dashboard
    return dashboard


Shared = Annotated[Dashboard, Depends(_dashboard)]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the application.

    Args:
        settings: Settings of the worker; from the environment by default.
    """
    known = settings or Settings.from_env()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[Mapping[str, object]]:
        async with fathom_lifespan(known.client)(app) as state, open_store(known.store) as store:
            fathom = state["fathom"]
            sites = Sites(fathom, store, known.account, known.sites, known.speed)
            await sites.start()
            live = Live(fathom, store, sites)
            async with Boards(fathom, store, known.speed) as boards, asyncio.TaskGroup() as group:
                keeping = group.create_task(live.run())
                await boards.warm(sites.all, RangeName.MONTH, within=_WARM_UP)

                def stop() -> None:
                    keeping.cancel()
                    boards.stop()

                with when_told_to_stop(stop):
                    yield {
                        **state,
                        "dashboard": Dashboard(sites, boards, live, Renderer(_HERE / "templates")),
                    }
                stop()

    app = FastAPI(title="Dashboard", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=known.hosts, www_redirect=False)
    install_error_handlers(app)
    app.include_router(health_router())
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    _add_routes(app)
    return app


def _add_routes(app: FastAPI) -> None:
    @app.api_route("/", methods=["GET", "HEAD"])
    async def page(dashboard: Shared, span: Annotated[RangeName, _RANGE] = RangeName.MONTH) -> HTMLResponse:
        panels = await dashboard.panels(span)
        return HTMLResponse(
            dashboard.pages.page(panels, tuple(dashboard.sites.notes), span), headers=_HEADERS
        )

    @app.get("/sites/{site_id}/board")
    async def board(
        site_id: str, dashboard: Shared, span: Annotated[RangeName, _RANGE] = RangeName.MONTH
    ) -> HTMLResponse:
        site = dashboard.sites.get(site_id)
        if site is None:
            raise HTTPException(404, "There is no such site.")
        whole = await dashboard.boards.get(site, span, within=_FILLING_WAITS)
        return HTMLResponse(dashboard.pages.board(whole), headers=_HEADERS)

    @app.get("/live", response_class=EventSourceResponse)
    async def live(dashboard: Shared) -> AsyncIterator[ServerSentEvent]:
        async for count in dashboard.live.updates():
            yield ServerSentEvent(
                data={"site": count.site_id, "visitors": count.visitors, "age": age(count).total_seconds()}
            )
