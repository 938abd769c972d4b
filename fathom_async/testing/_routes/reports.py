"""`/aggregations` and `/current_visitors`."""

import asyncio
from collections.abc import Mapping, Sequence

from aiohttp import web
from attrs import frozen

from fathom_async.testing._aggregation import Subject, read_aggregation, read_subject
from fathom_async.testing._dataset import Dataset
from fathom_async.testing._dialect import ServerDialect
from fathom_async.testing._query_engine import ResultRow
from fathom_async.testing._routes.context import Context
from fathom_async.testing._validation import Form
from fathom_async.testing._visitors import count_visitors, describe_visitors, recent_views


@frozen
class ReportRoutes:
    """Reports.

    A thread computes them, so that a heavy report does not block the clients in the same event loop.
    """

    context: Context
    data: Dataset
    seed: int
    dialect: ServerDialect

    def table(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/aggregations", self._aggregate),
            web.get("/v1/current_visitors", self._current_visitors),
        ]

    async def _aggregate(self, request: web.Request) -> web.Response:
        grant = self.context.grant(request)
        subject = read_subject(
            request.query, self.context.account, by_id=self.context.event_shape == "classic"
        )
        grant.require_read(subject.site_id)
        timezone = self.context.account.site(subject.site_id).timezone
        return web.json_response(
            await asyncio.to_thread(self._report, dict(request.query), subject, timezone)
        )

    async def _current_visitors(self, request: web.Request) -> web.Response:
        grant = self.context.grant(request)
        form = Form(request.query)
        form.require("site_id")
        site_id, detailed = form.text("site_id") or "", form.boolean("detailed")
        form.check()
        grant.require_read(site_id)
        self.context.account.site(site_id)
        views = await asyncio.to_thread(recent_views, self.data, site_id, self.context.clock.now())
        return web.json_response(describe_visitors(views) if detailed else {"total": count_visitors(views)})

    def _report(self, query: Mapping[str, str], subject: Subject, timezone: str) -> Sequence[ResultRow]:
        engine, clock = self.data.query_engine, self.context.clock
        wanted = read_aggregation(
            query,
            subject,
            site_timezone=timezone,
            clock=clock,
            first_record=engine.first_record,
            dialect=self.dialect,
        )
        return engine.report(wanted, self.seed)
