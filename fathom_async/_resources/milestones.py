"""Endpoints of milestones. Source: https://usefathom.com/api/v1#milestones."""

from collections.abc import Mapping
from datetime import date
from operator import attrgetter

from attrs import frozen

from fathom_async._core.codec.objects import deletion, object_decoder, page_decoder
from fathom_async._core.pagination import Listing, by_cursor
from fathom_async._core.request import Request, path
from fathom_async._core.session import Caller
from fathom_async._util import checks
from fathom_async._util.checks import Check, body, page_params
from fathom_async.models import Deleted, Milestone, Site

_FIELDS: dict[str, Check] = {"name": checks.text(30), "milestone_date": checks.day}

_MILESTONE = object_decoder(Milestone)
_MILESTONES = page_decoder(Milestone)


@frozen(eq=False, repr=False)
class MilestonesResource:
    """Dated annotations of a site's reports. Source: https://usefathom.com/api/v1#milestones.

    Methods raise `ArgumentError` for arguments that the API would reject, and `NotFoundError` if there is no such
    milestone.
    """

    _send: Caller

    def list(
        self,
        site_id: str | Site,
        *,
        limit: int = 100,
        starting_after: str | None = None,
        ending_before: str | None = None,
    ) -> Listing[Milestone]:
        """List a site's milestones by `created_at`: await the listing for one page, iterate over it for all.

        Args:
            site_id: Id of the site.
            limit: Objects per page, 1 to 100.
            starting_after: Id of a milestone; lists those created after it, oldest first.
            ending_before: Id of a milestone; lists those created before it, newest first.
        """
        params = page_params(limit, starting_after, ending_before)
        first = Request("GET", path("/sites/{}/milestones", site_id), _MILESTONES, params)
        return Listing(self._send, first, by_cursor(attrgetter("id")))

    async def get(self, site_id: str | Site, milestone_id: str) -> Milestone:
        """Return a milestone."""
        at = path("/sites/{}/milestones/{}", site_id, milestone_id)
        return await self._send(Request("GET", at, _MILESTONE))

    async def create(
        self,
        site_id: str | Site,
        *,
        name: str,
        milestone_date: date | str,
        extra: Mapping[str, object] | None = None,
    ) -> Milestone:
        """Create a milestone. It is never sent twice.

        Args:
            site_id: Id of the site.
            name: At most 30 characters.
            milestone_date: The day, as a date or as ``YYYY-MM-DD``, in the site's time zone.
            extra: Further fields of the body, as JSON, that this version does not know.
        """
        fields = body(_FIELDS, extra, name=name, milestone_date=milestone_date)
        at = path("/sites/{}/milestones", site_id)
        return await self._send(Request("POST", at, _MILESTONE, body=fields))

    async def update(
        self,
        site_id: str | Site,
        milestone_id: str,
        *,
        name: str,
        milestone_date: date | str,
        extra: Mapping[str, object] | None = None,
    ) -> Milestone:
        """Replace a milestone's name and day; the API needs both. The arguments are those of `create`."""
        fields = body(_FIELDS, extra, name=name, milestone_date=milestone_date)
        at = path("/sites/{}/milestones/{}", site_id, milestone_id)
        decode = object_decoder(Milestone, id=milestone_id, **{each: fields[each] for each in _FIELDS})
        return await self._send(Request("POST", at, decode, body=fields))

    async def delete(self, site_id: str | Site, milestone_id: str) -> Deleted:
        """Delete a milestone permanently."""
        at = path("/sites/{}/milestones/{}", site_id, milestone_id)
        gone = Deleted(milestone_id, object="milestone")
        return await self._send(Request("DELETE", at, deletion, already_gone_result=gone))
