"""Endpoints of sites. Source: https://usefathom.com/api/v1#sites."""

from collections.abc import Iterable, Mapping
from operator import attrgetter

from attrs import evolve, frozen

from fathom_async import _endpoints as endpoints
from fathom_async._cache.site_zones import SiteZones
from fathom_async._core.codec.objects import deletion, discard, object_decoder
from fathom_async._core.pagination import Listing, by_cursor
from fathom_async._core.request import Request, id_of, path
from fathom_async._core.session import Caller
from fathom_async._util import checks
from fathom_async._util.checks import MISSING, Check, NotGiven, body, page_params
from fathom_async.errors import ArgumentError
from fathom_async.models import Deleted, Page, Site

_FIELDS: dict[str, Check] = {
    "name": checks.text(255),
    "sharing": checks.choice(("none", "private", "public")),
    "share_password": checks.nullable(checks.text(255)),
    "timezone": checks.timezone,
    "multi_domain": checks.flag,
    "multi_domain_option": checks.nullable(checks.choice(("combined", "separate"))),
}
_SITE = object_decoder(Site)
_WIPE_IS_GONE = "A site's data can no longer be wiped through the API: use the dashboard, or sites.delete."


@frozen(eq=False, repr=False)
class SitesResource:
    """The account's websites. Source: https://usefathom.com/api/v1#sites.

    Methods raise `ArgumentError` for arguments that the API would reject, and `NotFoundError` if there is no such
    site.
    """

    _send: Caller

    def list(
        self, *, limit: int = 100, starting_after: str | None = None, ending_before: str | None = None
    ) -> Listing[Site]:
        """List sites by `created_at`: await the listing for one page, iterate over it for all.

        Args:
            limit: Objects per page, 1 to 100.
            starting_after: Id of a site; lists those created after it, oldest first.
            ending_before: Id of a site; lists those created before it, newest first.
        """
        request = endpoints.sites(page_params(limit, starting_after, ending_before))

        def decode(body: bytes) -> Page[Site]:  # runs need not request what is known by then
            page = request.decode(body)
            self._note(page.data)
            return page

        return Listing(self._send, evolve(request, decode=decode), by_cursor(attrgetter("id")))

    async def get(self, site_id: str | Site) -> Site:
        """Return a site."""
        return await self._send(endpoints.site(site_id))

    async def create(
        self,
        *,
        name: str,
        sharing: str | NotGiven = MISSING,
        share_password: str | NotGiven = MISSING,
        timezone: str | NotGiven = MISSING,
        multi_domain: bool | NotGiven = MISSING,
        multi_domain_option: str | NotGiven = MISSING,
        extra: Mapping[str, object] | None = None,
    ) -> Site:
        """Create a site. It is never sent twice: see `TransportError.sent` for lost answers.

        Args:
            name: At most 255 characters.
            sharing: ``none`` (the default), ``private`` or ``public``.
            share_password: Required if `sharing` is ``private``; at most 255 characters.
            timezone: TZ database name of its reports; that of the account by default.
            multi_domain: Whether it tracks several domains.
            multi_domain_option: Required if `multi_domain` is true: ``combined`` or ``separate``.
            extra: Further fields of the body, as JSON, that this version does not know.
        """
        fields = _body(
            extra,
            name=name,
            sharing=sharing,
            share_password=share_password,
            timezone=timezone,
            multi_domain=multi_domain,
            multi_domain_option=multi_domain_option,
        )
        return await self._send(Request("POST", "/sites", _SITE, body=fields))

    async def update(
        self,
        site_id: str | Site,
        *,
        name: str | NotGiven = MISSING,
        sharing: str | NotGiven = MISSING,
        share_password: str | NotGiven | None = MISSING,
        timezone: str | NotGiven = MISSING,
        multi_domain: bool | NotGiven = MISSING,
        multi_domain_option: str | NotGiven | None = MISSING,
        extra: Mapping[str, object] | None = None,
    ) -> Site:
        """Change a site. Arguments that are not given stay unchanged; None is sent as null.

        Args:
            site_id: Id of the site.
            name: At most 255 characters.
            sharing: ``none``, ``private`` or ``public``.
            share_password: Required if `sharing` is ``private``; at most 255 characters.
            timezone: TZ database name of its reports.
            multi_domain: Whether it tracks several domains.
            multi_domain_option: Required if `multi_domain` is true: ``combined`` or ``separate``.
            extra: Further fields of the body, as JSON, that this version does not know.
        """
        fields = _body(
            extra,
            name=name,
            sharing=sharing,
            share_password=share_password,
            timezone=timezone,
            multi_domain=multi_domain,
            multi_domain_option=multi_domain_option,
        )
        site = await self._send(Request("POST", path("/sites/{}", site_id), _SITE, body=fields))
        self._note([site])
        return site

    async def delete(self, site_id: str | Site) -> Deleted:
        """Delete a site and its data permanently."""
        at = path("/sites/{}", site_id)
        gone = Deleted(id_of(site_id), object="site")
        return await self._send(Request("DELETE", at, deletion, already_gone_result=gone))

    async def wipe(self, site_id: str | Site) -> None:
        """Delete a site's data. The live service has retired this endpoint.

        Raises:
            GoneError: The service has retired the endpoint; the message names a replacement.
        """
        at = path("/sites/{}/data", site_id)
        await self._send(Request("DELETE", at, discard, retired_hint=_WIPE_IS_GONE))

    def _note(self, sites: Iterable[Site]) -> None:
        """Remember time zones, which reports may depend on."""
        session = self._send.session
        session.scope.resource("site zones", SiteZones).note(sites, session.clock.unix())


def _body(extra: Mapping[str, object] | None, **values: object) -> dict[str, object]:
    """Return the body of `create` and `update`, where some fields require others."""
    fields = body(_FIELDS, extra, **values)
    if fields.get("sharing") == "private" and fields.get("share_password") is None:
        raise ArgumentError("share_password is required if sharing is 'private'")
    if fields.get("multi_domain") is True and fields.get("multi_domain_option") is None:
        raise ArgumentError("multi_domain_option is required if multi_domain is true: combined or separate")
    return fields
