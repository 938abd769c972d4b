"""FastAPI backends: one client for all requests of an application, and responses to its errors.

    app = FastAPI(lifespan=fathom_lifespan())  # reads FATHOM_API_TOKEN, _BASE_URL, _BUDGET, _PLAN
    install_error_handlers(app)
    app.include_router(health_router())

    @app.get("/sites/{site_id}/visits")
    async def visits(site_id: str, fathom: Fathom) -> int | None: ...

Needs the extra ``fathom_async[fastapi]``.
"""

try:
    import fastapi as _fastapi
except ImportError as _error:
    raise ImportError('FastAPI is missing: pip install "fathom_async[fastapi]"') from _error

from fastapi import encoders as _encoders
from pydantic_core import to_jsonable_python as _plain

from fathom_async._core.codec.rows import Row as _Row
from fathom_async._util.pydantic_schema import HasSchema as _HasSchema
from fathom_async.integrations.fastapi._client import Fathom, FathomState, fathom, fathom_lifespan
from fathom_async.integrations.fastapi._health import Health, LaneHealth, health_router
from fathom_async.integrations.fastapi._live import LiveCount, LiveFeed, live_feed
from fathom_async.integrations.fastapi._replies import Reply, install_error_handlers, reply_to

del _fastapi
# Routes without an annotation return them too; FastAPI does not document this mapping.
getattr(_encoders, "encoders_by_class_tuples", {})[_plain] = (_HasSchema, _Row)

__all__ = [
    "Fathom",
    "FathomState",
    "Health",
    "LaneHealth",
    "LiveCount",
    "LiveFeed",
    "Reply",
    "fathom",
    "fathom_lifespan",
    "health_router",
    "install_error_handlers",
    "live_feed",
    "reply_to",
]
