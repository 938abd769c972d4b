"""The application: ``uvicorn --factory examples.dashboard.app:create_app --workers 4``."""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attrs import frozen
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles

from examples.dashboard.boards import GONE, LOADING, Boards, Card, lasting
from examples.dashboard.live import Live, age
from examples.dashboard.login import guard
from examples.dashboard.pages import Choice, Panel, Renderer
from examples.dashboard.ranges import RangeName
from examples.dashboard.settings import LOOPBACK, Settings
from examples.dashboard.sites import Sites
from fathom_async.integrations.fastapi import (
    LiveCount,
    fathom_lifespan,
    health_router,
    install_error_handlers,
)
from fathom_async.integrations.stopping import when_told_to_stop
from fathom_async.store import open_store

if TYPE_CHECKING:
    from examples.dashboard.metrics import Metrics

_HERE = Path(__file__).parent
_TICK = 1.0
"""Seconds from one look of an open page to the next."""
_OPEN = 3.0
"""Seconds for which a page counts as open after its last look."""
_OPENING = 10.0
"""Seconds within which a loaded page opens its stream, or a script asks again."""
_OLD_LIVE = 300.0
"""Age from which a number of visitors is shown as old; the page's script has the same value."""

_STATUS = {"gone": HTTPStatus.NOT_FOUND, "failed": HTTPStatus.BAD_GATEWAY}

_HEADERS: Mapping[str, str] = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

_log = logging.getLogger("examples.dashboard")


@frozen
class View:
    """What a visitor looks at: a range, and sites; none for those that are shown by default."""

    name: RangeName
    site_ids: tuple[str, ...]


async def _view(
    name: Annotated[RangeName, Query(alias="range")] = RangeName.MONTH,
    site_ids: Annotated[tuple[str, ...], Query(alias="site")] = (),
) -> View:
    return View(name, site_ids)


@frozen
class Dashboard:
    """State that the routes of one worker share."""

    title: str
    sites: Sites
    boards: Boards
    live: Live
    pages: Renderer

    async def page(self, view: View, base: str) -> bytes:
        """Return the page as it is now."""
        sites = self.sites.pick(view.site_ids)
        cards = await asyncio.gather(*(self.boards.get(site, view.name, _OPENING) for site in sites))
        counts = self._counts(cards, _OPENING)
        choice = Choice(
            title=self.title,
            base=base,
            sites=tuple(self.sites.all),
            notes=tuple(self.sites.notes),
            name=view.name,
            most=self.sites.most,
            picked=bool(view.site_ids),
        )
        return self.pages.page(tuple(self._panel(card, counts) for card in cards), choice)

    async def events(self, view: View) -> AsyncGenerator[ServerSentEvent]:
        """Yield the boards, notices and current visitors of an open page, each when it changes."""
        told: dict[tuple[str, str], object] = {}
        while not self.boards.stopping.is_set():
            for kind, site_id, state, data in self._states(view):
                if (kind, site_id) not in told or told[kind, site_id] != state:
                    told[kind, site_id] = state
                    yield ServerSentEvent(event=kind, data={"site": site_id, **data})
            with suppress(TimeoutError):
                await asyncio.wait_for(self.boards.stopping.wait(), _TICK)

    def _states(self, view: View) -> Iterator[tuple[str, str, object, Mapping[str, object]]]:
        """Yield what a page shows: the kind of event, the site, what tells a change, and the event's data."""
        sites = filter(None, map(self.sites.get, view.site_ids))
        cards = {site.id: self.boards.look(site, view.name, _OPEN) for site in sites}
        counts = self._counts(cards.values(), _OPEN)
        for site_id in view.site_ids:
            notice = GONE if self.sites.are_known else None
            if (card := cards.get(site_id)) is not None:
                notice = card.shown_notice
                if card.board is not None:
                    as_of = card.board.as_of.isoformat(timespec="seconds")
                    yield "board", site_id, card.board, {"as_of": as_of, "html": self.pages.board(card.board)}
            words = {"kind": notice.kind if notice else "", "text": notice.text if notice else ""}
            yield "notice", site_id, notice, words
            if (count := counts.get(site_id)) is not None:
                yield "live", site_id, count, {"visitors": count.visitors, "age": age(count)}

    def _counts(self, cards: Collection[Card], seconds: float) -> Mapping[str, LiveCount]:
        """Return the current visitors; ask for newer ones once the boards are there, for which they would wait."""
        is_filled = all(card.board is not None for card in cards)
        return self.live.look([card.site.id for card in cards], seconds if is_filled else 0)

    def _panel(self, card: Card, counts: Mapping[str, LiveCount]) -> Panel:
        count = counts.get(card.site.id)
        is_old = count is not None and age(count) > _OLD_LIVE
        return Panel(
            card.site,
            live=count,
            live_age=lasting(age(count)) if count is not None and is_old else "",
            board="" if card.board is None else self.pages.board(card.board),
            board_age=lasting(card.age) if card.is_old else "",
            notice=card.shown_notice,
        )


async def _dashboard(request: Request) -> Dashboard:
    dashboard: Dashboard = request.state.dashboard
    return dashboard


Shared = Annotated[Dashboard, Depends(_dashboard)]
Looked = Annotated[View, Depends(_view)]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the application.

    Args:
        settings: Settings of the worker; from the environment by default.
    """
    known = settings or Settings.from_env()
    if set(known.hosts) - set(LOOPBACK) and not (known.login or known.login_header):
        _log.warning(
            "everybody who reaches the dashboard sees its figures; set DASHBOARD_LOGIN or _LOGIN_HEADER"
        )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[Mapping[str, object]]:
        async with fathom_lifespan(known.client)(app) as state, open_store(known.store) as store:
            fathom = state["fathom"]
            sites = Sites(fathom, store, known.account, known.sites, known.speed)
            await sites.start()
            live = Live(fathom, store, sites, known.speed)
            async with (
                Boards(fathom, store, known.account, known.speed) as boards,
                asyncio.TaskGroup() as group,
            ):
                keeping = [group.create_task(live.run())]
                metrics = None
                if known.metrics:
                    from examples.dashboard.metrics import Metrics  # noqa: PLC0415 - it is an extra

                    metrics = Metrics(fathom, known)
                    keeping.append(group.create_task(metrics.run()))
                await boards.warm(sites.pick(()), RangeName.MONTH)

                def stop() -> None:
                    for task in keeping:
                        task.cancel()
                    boards.stop()

                with when_told_to_stop(stop):
                    pages = Renderer(_HERE / "templates")
                    dashboard = Dashboard(known.title, sites, boards, live, pages)
                    yield {**state, "dashboard": dashboard, "metrics": metrics}
                stop()

    app = FastAPI(
        title=known.title,
        lifespan=lifespan,
        dependencies=[Depends(guard(known))],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.root_path = known.root_path  # of every server that runs it, whether or not the proxy takes it away
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=known.hosts, www_redirect=False)
    install_error_handlers(app)
    app.include_router(health_router())
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    _add_routes(app)
    if known.metrics:
        app.add_api_route("/metrics", _metrics)
    return app


async def _metrics(request: Request) -> Response:
    metrics: Metrics = request.state.metrics
    return await metrics.answer(request)


def _add_routes(app: FastAPI) -> None:
    @app.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request, dashboard: Shared, view: Looked) -> HTMLResponse:
        base = f"{request.scope.get('root_path', '')}/"
        return HTMLResponse(await dashboard.page(view, base), headers=_HEADERS)

    @app.get("/sites/{site_id}/board")
    async def board(site_id: str, dashboard: Shared, view: Looked) -> Response:
        """Answer with a board, or with 202 and when to ask again."""
        site = dashboard.sites.get(site_id)
        if site is None:
            raise HTTPException(404, GONE.text)
        card = await dashboard.boards.get(site, view.name, _OPENING)
        if card.board is not None:
            return HTMLResponse(dashboard.pages.board(card.board), headers=_HEADERS)
        notice = card.notice or LOADING
        if notice.kind in _STATUS:
            raise HTTPException(_STATUS[notice.kind], notice.text)
        wait = {"Retry-After": str(math.ceil(min(notice.retry_in, _OPENING / 2)))}
        return JSONResponse({"detail": notice.text}, HTTPStatus.ACCEPTED, {**_HEADERS, **wait})

    @app.get("/live", response_class=EventSourceResponse)
    async def live(dashboard: Shared, view: Looked) -> AsyncIterator[ServerSentEvent]:
        async with aclosing(dashboard.events(view)) as events:
            async for event in events:
                yield event
