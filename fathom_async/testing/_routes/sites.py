"""`/account`, `/token` and `/sites`."""

from aiohttp import web
from attrs import frozen

from fathom_async.testing._account_state import SiteEntry, stamp
from fathom_async.testing._cursor_pages import page
from fathom_async.testing._http_errors import gone
from fathom_async.testing._routes.context import Context, deleted, read_form
from fathom_async.testing._validation import Form

_SHARING = ("none", "private", "public")
_MULTI_DOMAIN = ("combined", "separate")


@frozen
class SiteRoutes:
    """The account, its token and its sites."""

    context: Context

    def table(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/account", self._account),
            web.get("/v1/token", self._token),
            web.get("/v1/sites", self._list),
            web.post("/v1/sites", self._create),
            web.get("/v1/sites/{site_id}", self._get),
            web.post("/v1/sites/{site_id}", self._update),
            web.delete("/v1/sites/{site_id}", self._delete),
            web.delete("/v1/sites/{site_id}/data", self._wipe),
        ]

    async def _account(self, request: web.Request) -> web.Response:
        self.context.grant(request).require_account()
        name, email = "Homer Simpson", "homer@simpsonsfamily.doh"
        return web.json_response({"id": 500302232, "object": "account", "name": name, "email": email})

    async def _token(self, request: web.Request) -> web.Response:
        now = stamp(self.context.clock.now())
        return web.json_response(
            {
                "name": "Production server",
                "version": 4,
                "abilities": list(self.context.grant(request).abilities),
                "last_used_at": now,
                "expires_at": None,
                "created_at": "2024-01-01 12:00:00",
                "updated_at": now,
            }
        )

    async def _list(self, request: web.Request) -> web.Response:
        self.context.grant(request).require_every_site()
        sites = self.context.account.sites()
        return page(sites, request, url="/v1/sites", cursor=lambda site: site.id, render=SiteEntry.to_json)

    async def _create(self, request: web.Request) -> web.Response:
        self.context.grant(request).require_account()
        form = await read_form(request)
        form.require("name")
        fields = _read_fields(form)
        site = self.context.account.add_site(fields.name or "")
        fields.apply(site)
        return web.json_response(site.to_json())

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self.context.account.site(self.context.readable(request)).to_json())

    async def _update(self, request: web.Request) -> web.Response:
        site = self.context.account.site(self.context.manageable(request))
        _read_fields(await read_form(request)).apply(site)
        return web.json_response(site.to_json())

    async def _delete(self, request: web.Request) -> web.Response:
        self.context.grant(request).require_account()
        site_id = request.match_info["site_id"]
        self.context.account.remove_site(site_id)
        return deleted("site", site_id)

    async def _wipe(self, _request: web.Request) -> web.Response:
        raise gone("It is no longer possible to wipe a site's data via the API.")


@frozen
class _Fields:
    name: str | None
    sharing: str | None
    timezone: str | None

    def apply(self, site: SiteEntry) -> None:
        site.name = self.name or site.name
        site.sharing = self.sharing or site.sharing
        site.timezone = self.timezone or site.timezone


def _read_fields(form: Form) -> _Fields:
    fields = _Fields(form.text("name"), form.choice("sharing", _SHARING), form.timezone("timezone"))
    if fields.sharing == "private":
        form.require("share_password", "when sharing is private")
    if form.boolean("multi_domain"):
        form.require("multi_domain_option", "when multi domain is true")
    form.text("share_password")
    form.choice("multi_domain_option", _MULTI_DOMAIN)
    form.check()
    return fields
