"""Deletions that are answered with nothing worth reading."""

from fathom_async._core.codec.objects import parse
from fathom_async._core.request import Request
from fathom_async.errors import DecodeError
from fathom_async.models import Deleted


def delete_request(path: str, gone: Deleted, *, lane: str) -> Request[Deleted]:
    """Return a request that deletes.

    Its answer may be empty, ``true`` or an object.

    Args:
        path: Path of the thing.
        gone: What to return when it is gone, also when an attempt whose answer was lost has done it.
        lane: The rate limit it counts against.
    """

    def decode(body: bytes) -> Deleted:
        if body.strip() and parse(body) is False:
            raise DecodeError("the answer says that it was not deleted", body=body[:200])
        return gone

    return Request("DELETE", path, decode, lane=lane, already_gone_result=gone)
