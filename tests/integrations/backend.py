"""A FastAPI backend with pages, a stream and a bulk job: ``uvicorn tests.integrations.backend:app``."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse

from fathom_async import ClosedError, FathomClient, PageviewQuery, Priority, where
from fathom_async.integrations.fastapi import fathom, fathom_lifespan, health_router, install_error_handlers
from fathom_async.store import ReportStore, open_store
from tests.integrations import fleet

JOB = 25
"""Requests of the job."""


def query(name: str, number: int) -> PageviewQuery:
    """A query that no answer to another implies."""
    return PageviewQuery(
        "CDBUGS",
        aggregates=["visits"],
        date_from="2026-08-01",
        date_to="2026-08-31",
        filters=[where.pathname.matching(f"^/{name}{number}$")],
    )


async def do_job(fathom: FathomClient, store: ReportStore) -> None:
    with suppress(ClosedError):  # the worker stops, and the next one goes on
        async for _ in fathom.reports.run([query("job", n) for n in range(JOB)], fuse=False, store=store):
            pass


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[Mapping[str, object]]:
    async with (
        open_store(os.environ["FATHOM_STORE"]) as store,
        asyncio.TaskGroup() as jobs,
        fathom_lifespan(lambda: fleet.connect(""))(app) as state,
    ):
        jobs.create_task(do_job(state["fathom"], store))
        yield {**state, "store": store}


Patient = Annotated[FathomClient, Depends(fathom(max_wait=5 * fleet.SPEED))]

app = FastAPI(lifespan=lifespan)
install_error_handlers(app)
app.include_router(health_router())


@app.get("/visits/{number}")
async def visits(number: int, fathom: Patient, request: Request) -> int:
    [report] = await fathom.reports.gather(
        [query("page", number)], store=request.state.store, priority=Priority.INTERACTIVE
    )
    return report.total("visits")


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        while True:
            yield "data: 1\n\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(events(), media_type="text/event-stream")
