"""Requests that delete."""

from fathom_async._core.codec.objects import parse
from fathom_async._core.request import Request
from fathom_async.errors import DecodeError
from fathom_async.models import Deleted


def delete_request(path: str, gone: Deleted, *, lane: str) -> Request[Deleted]:
    """Return a request that deletes; its answer may be empty, ``true`` or an object.

    Args:
        path: The path.
        gone: The result, also if an earlier attempt with a lost answer deleted it.
        lane: The lane of the request.
    """

    def decode(body: bytes) -> Deleted:
        if body.strip() and parse(body) is False:
            raise DecodeError("the server did not delete it", body=body[:200])
        return gone

    return Request("DELETE", path, decode, lane=lane, already_gone_result=gone)
