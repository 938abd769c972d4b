"""A route that reports the state of the budget without spending any of it."""

from typing import Literal

from attrs import asdict
from fastapi import APIRouter, Response
from pydantic import BaseModel

from fathom_async._ratelimit.plan import LaneStatus
from fathom_async.integrations.fastapi._client import Fathom


class LaneHealth(BaseModel):
    """One lane, as this worker sees it.

    Attributes:
        limit: Requests that the server admits in one window.
        per: Length of the window in seconds.
        used: Requests that the server may still be counting, including those of other workers.
        in_flight: This worker's requests that are sent and not yet answered.
        queued: This worker's requests that wait for admission.
        next_slot_in: Seconds until the lane would admit a new interactive request.
        paused_for: Seconds left of a pause that the server asked for.
        budget: ``lost`` if the shared budget is unreachable and the lane admits nothing; ``share`` if it is
            unreachable and this worker spends its share of it; else ``ok``.
    """

    limit: int
    per: float
    used: int
    in_flight: int
    queued: int
    next_slot_in: float
    paused_for: float
    budget: Literal["ok", "lost", "share"]

    @classmethod
    def of(cls, status: LaneStatus, next_slot_in: float) -> "LaneHealth":
        rounded = {"next_slot_in": round(next_slot_in, 3), "paused_for": round(status.paused_for, 3)}
        return cls.model_validate(asdict(status) | rounded)


class Health(BaseModel):
    """The state of the budget.

    Attributes:
        status: ``lost`` if the shared budget is unreachable and requests fail; ``paused`` if the server paused a
            lane; ``busy`` if a lane has no permit right now; else ``ok``.
        lanes: The lanes, by name.
        sent: Requests that this worker has sent, by lane.
        refused: Number of them that the server rejected over a limit; 0 unless other programs spend the budget too.
        retried: Number of attempts after the first.
        shared: Number of requests saved by joining an identical one in flight.
    """

    status: Literal["ok", "busy", "paused", "lost"]
    lanes: dict[str, LaneHealth]
    sent: dict[str, int]
    refused: int
    retried: int
    shared: int


def health_router(path: str = "/health/fathom") -> APIRouter:
    """Return a router with one route that responds with a `Health`, always with 200: a full lane is healthy.

    Args:
        path: Path of the route. Restrict access to it if your load should stay private.
    """
    router = APIRouter()

    @router.get(path, summary="The budget of the Fathom API", tags=["health"])
    async def health(fathom: Fathom, response: Response) -> Health:
        response.headers["Cache-Control"] = "no-store"
        lanes = {name: LaneHealth.of(status, fathom.eta(lane=name)) for name, status in fathom.limits.items()}
        counts = asdict(fathom.stats, recurse=False)
        return Health.model_validate(counts | {"status": _status(lanes), "lanes": lanes})

    return router


def _status(lanes: dict[str, LaneHealth]) -> Literal["ok", "busy", "paused", "lost"]:
    if any(lane.budget == "lost" for lane in lanes.values()):
        return "lost"
    if any(lane.paused_for for lane in lanes.values()):
        return "paused"
    return "busy" if any(lane.next_slot_in for lane in lanes.values()) else "ok"
