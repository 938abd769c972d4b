"""`/sites`."""

from aiohttp import web
from attrs import frozen

from fathom_async.testing._account import SiteEntry
from fathom_async.testing._paging import page
from fathom_async.testing._problems import gone
from fathom_async.testing._routes.context import Context, read_form
from fathom_async.testing._validation import Form

_SHARING = ("none", "private", "public")
_MULTI_DOMAIN = ("combined", "separate")


@frozen
class SiteRoutes:
    """Sites."""

    context: Context

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/v1/sites", self.list_sites),
            web.post("/v1/sites", self.create),
            web.get("/v1/sites/{site_id}", self.get),
            web.post("/v1/sites/{site_id}", self.update),
            web.delete("/v1/sites/{site_id}", self.delete),
            web.delete("/v1/sites/{site_id}/data", self.wipe),
        ]

    async def list_sites(self, request: web.Request) -> web.Response:
        """One page of sites."""
        self.context.token(request).require_every_site()
        return web.json_response(
            page(
                self.context.account.sites(),
                request.query,
                url="/v1/sites",
                cursor=lambda site: site.id,
                render=SiteEntry.to_json,
            )
        )

    async def create(self, request: web.Request) -> web.Response:
        """A new site."""
        self.context.token(request).require_account()
        form = await read_form(request)
        form.require("name")
        fields = _read_fields(form)
        site = self.context.account.add_site(fields.name or "")
        fields.apply(site)
        return web.json_response(site.to_json())

    async def get(self, request: web.Request) -> web.Response:
        """One site."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_read(site_id)
        return web.json_response(self.context.account.site(site_id).to_json())

    async def update(self, request: web.Request) -> web.Response:
        """Change some fields of a site."""
        site_id = request.match_info["site_id"]
        self.context.token(request).require_manage(site_id)
        site = self.context.account.site(site_id)
        _read_fields(await read_form(request)).apply(site)
        return web.json_response(site.to_json())

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a site."""
        self.context.token(request).require_account()
        site_id = request.match_info["site_id"]
        self.context.account.remove_site(site_id)
        return web.json_response({"id": site_id, "object": "site", "deleted": True})

    async def wipe(self, _request: web.Request) -> web.Response:
        """Retired."""
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
