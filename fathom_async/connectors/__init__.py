"""Clients of two more Events APIs, with the same rate limiting, and the synchronisation of Fathom's events.

`SecodaClient` documents events in a data catalog, `EmmaClient` triggers mail on them, and
`fathom_async.connectors.sync` keeps both up to date with Fathom.
"""

from fathom_async.connectors.emma._client import EmmaClient
from fathom_async.connectors.secoda._client import SecodaClient

__all__ = ["EmmaClient", "SecodaClient"]
