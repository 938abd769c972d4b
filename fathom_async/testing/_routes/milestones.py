"""`/sites/{site_id}/milestones`."""

from datetime import date
from typing import cast

from aiohttp import web
from attrs import frozen

from fathom_async.testing._account import MilestoneEntry
from fathom_async.testing._paging import page
from fathom_async.testing._routes.context import Context, read_form


@frozen
class MilestoneRoutes:
    """Milestones."""

    context: Context

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        milestones = "/v1/sites/{site_id}/milestones"
        return [
            web.get(milestones, self.list_milestones),
            web.post(milestones, self.create),
            web.get(f"{milestones}/{{milestone_id}}", self.get),
            web.post(f"{milestones}/{{milestone_id}}", self.update),
            web.delete(f"{milestones}/{{milestone_id}}", self.delete),
        ]

    async def list_milestones(self, request: web.Request) -> web.Response:
        """One page of milestones; its `url` is not quite its URL, as on the live service."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_read(site_id)
        return web.json_response(
            page(
                self.context.account.milestones(site_id),
                request.query,
                url=f"/api/v1/{site_id}/milestones",
                cursor=lambda milestone: milestone.id,
                render=MilestoneEntry.to_json,
            )
        )

    async def create(self, request: web.Request) -> web.Response:
        """A new milestone."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_manage(site_id)
        self.context.account.site(site_id)
        name, day = await _read_fields(request)
        milestone = self.context.account.add_milestone(site_id, name, day)
        return web.json_response(milestone.to_json(), status=201)

    async def get(self, request: web.Request) -> web.Response:
        """One milestone."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_read(site_id)
        milestone = self.context.account.milestone(site_id, request.match_info["milestone_id"])
        return web.json_response(milestone.to_json())

    async def update(self, request: web.Request) -> web.Response:
        """Change a milestone; both fields must be sent."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_manage(site_id)
        milestone = self.context.account.milestone(site_id, request.match_info["milestone_id"])
        milestone.name, milestone.milestone_date = await _read_fields(request)
        self.context.account.touch(milestone)
        return web.json_response(milestone.to_json())

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a milestone."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_manage(site_id)
        milestone = self.context.account.milestone(site_id, request.match_info["milestone_id"])
        self.context.account.remove_milestone(milestone)
        return web.json_response({"id": milestone.id, "object": "milestone", "deleted": True})


async def _read_fields(request: web.Request) -> tuple[str, date]:
    form = await read_form(request)
    form.require("name")
    form.require("milestone_date")
    name, day = form.text("name", 30), form.day("milestone_date")
    form.check()
    return cast("str", name), cast("date", day)
