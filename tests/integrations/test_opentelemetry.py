"""Spans of requests, through the real SDK."""

import asyncio

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from fathom_async import FathomClient, NotFoundError
from fathom_async.integrations.opentelemetry import RequestSpans
from fathom_async.testing import Delay, Disconnect, FathomServer, Status
from tests.conftest import EAGER, until

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


async def test_each_attempt_is_a_span(
    server: FathomServer, provider: TracerProvider, spans: InMemorySpanExporter
) -> None:
    server.inject(Status(503), Disconnect())
    hook = RequestSpans(provider.get_tracer("test"))
    async with FathomClient("any", base_url=server.url, retry=EAGER, on_event=hook) as fathom:
        await fathom.sites.get("CDBUGS")
        with pytest.raises(NotFoundError):
            await fathom.sites.get("NOSUCH")
    done = spans.get_finished_spans()
    attributes = [dict(span.attributes or {}) for span in done]
    assert [found.get("http.response.status_code") for found in attributes] == [503, None, 200, 404]
    assert [found["fathom.attempt"] for found in attributes] == [1, 2, 3, 1]
    assert [span.status.status_code for span in done] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
        StatusCode.ERROR,
    ]
    assert attributes[0]["url.path"] == "/sites/CDBUGS"
    assert [event.name for event in done[0].events] == ["admitted", "sent"]


async def test_a_cancelled_request_ends_its_span(
    server: FathomServer, provider: TracerProvider, spans: InMemorySpanExporter
) -> None:
    server.inject(Delay(1000))
    hook = RequestSpans(provider.get_tracer("test"))
    async with FathomClient("any", base_url=server.url, on_event=hook) as fathom:
        call = asyncio.create_task(fathom.sites.get("CDBUGS"))
        await until(lambda: server.pending_faults == 0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    [span] = spans.get_finished_spans()
    assert "CancelledError" in str(span.status.description)


async def test_a_span_is_a_child_of_the_callers(
    server: FathomServer, provider: TracerProvider, spans: InMemorySpanExporter
) -> None:
    tracer = provider.get_tracer("test")
    async with FathomClient("any", base_url=server.url, on_event=RequestSpans(tracer)) as fathom:
        with tracer.start_as_current_span("page"):
            await asyncio.gather(fathom.sites.get("CDBUGS"), fathom.reports.current_visitors("CDBUGS"))
    *requests, page = spans.get_finished_spans()
    assert page.context is not None
    assert [span.parent and span.parent.span_id for span in requests] == [page.context.span_id] * 2
