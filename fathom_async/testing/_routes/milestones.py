"""`/sites/{site_id}/milestones`."""

from datetime import date
from typing import cast

from aiohttp import web
from attrs import frozen

from fathom_async.testing._account_state import MilestoneEntry
from fathom_async.testing._cursor_pages import page
from fathom_async.testing._routes.context import Context, deleted, read_form


@frozen
class MilestoneRoutes:
    """Milestones."""

    context: Context

    def table(self) -> list[web.RouteDef]:
        """Return the routes."""
        milestones = "/v1/sites/{site_id}/milestones"
        one = f"{milestones}/{{milestone_id}}"
        return [
            web.get(milestones, self._list),
            web.post(milestones, self._create),
            web.get(one, self._get),
            web.post(one, self._update),
            web.delete(one, self._delete),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        site_id = self.context.readable(request)
        milestones = self.context.account.milestones(site_id)
        url = f"/api/v1/{site_id}/milestones"  # not quite the URL, as on the live service
        return page(milestones, request, url=url, cursor=lambda each: each.id, render=MilestoneEntry.to_json)

    async def _create(self, request: web.Request) -> web.Response:
        site_id = self.context.manageable(request)
        self.context.account.site(site_id)
        milestone = self.context.account.add_milestone(site_id, *await _read_fields(request))
        return web.json_response(milestone.to_json(), status=201)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(self.context.readable(request), request).to_json())

    async def _update(self, request: web.Request) -> web.Response:
        milestone = self._find(self.context.manageable(request), request)
        milestone.name, milestone.milestone_date = await _read_fields(request)  # both are required
        self.context.account.touch(milestone)
        return web.json_response(milestone.to_json())

    async def _delete(self, request: web.Request) -> web.Response:
        milestone = self._find(self.context.manageable(request), request)
        self.context.account.remove_milestone(milestone)
        return deleted("milestone", milestone.id)

    def _find(self, site_id: str, request: web.Request) -> MilestoneEntry:
        return self.context.account.milestone(site_id, request.match_info["milestone_id"])


async def _read_fields(request: web.Request) -> tuple[str, date]:
    form = await read_form(request)
    form.require("name")
    form.require("milestone_date")
    name, day = form.text("name", 30), form.day("milestone_date")
    form.check()
    return cast("str", name), cast("date", day)
