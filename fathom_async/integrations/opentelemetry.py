"""OpenTelemetry spans of requests: ``FathomClient(..., on_event=RequestSpans())``.

Needs the extra ``fathom_async[otel]``.
"""

try:
    from opentelemetry import trace
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
except ImportError as _error:
    raise ImportError('OpenTelemetry is missing: pip install "fathom_async[otel]"') from _error

from fathom_async import telemetry
from fathom_async._version import __version__


class RequestSpans:
    """An `on_event` hook that records each attempt as a client span, from queueing to the answer.

    Its parent is the current span of the task that made the request. Its attributes are ``http.request.method``,
    ``url.path``, ``http.response.status_code``, ``fathom.lane``, ``fathom.attempt`` and ``fathom.waited`` (seconds
    until admission); its span events are ``admitted`` and ``sent``.

    Args:
        tracer: Creates the spans; by default a tracer of the global provider.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer or trace.get_tracer("fathom_async", __version__)
        self._open: dict[int, Span] = {}

    def __call__(self, event: telemetry.Event) -> None:
        """Record one event."""
        match event:
            case telemetry.Queued():
                self._begin(event)
            case telemetry.Admitted():
                self._mark(event.request, "admitted", {"fathom.waited": event.waited})
            case telemetry.Sent():
                self._mark(event.request, "sent", {})
            case telemetry.Answered():
                self._answer(event)
            case telemetry.Retried() | telemetry.Failed():
                self._end(event.request, event.reason)
            case telemetry.Paused() | telemetry.Recovered() | telemetry.Adapted():
                pass

    def _begin(self, event: telemetry.Queued) -> None:
        self._open[event.request] = self._tracer.start_span(
            f"{event.method} fathom",
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": event.method,
                "url.path": event.path,
                "fathom.lane": event.lane,
                "fathom.attempt": event.attempt,
            },
        )

    def _mark(self, request: int, name: str, attributes: dict[str, float]) -> None:
        if (span := self._open.get(request)) is not None:
            span.set_attributes(attributes)
            span.add_event(name)

    def _answer(self, event: telemetry.Answered) -> None:
        if (span := self._open.pop(event.request, None)) is not None:
            span.set_attribute("http.response.status_code", event.status)
            if event.status >= 400:  # noqa: PLR2004 - the client and server errors of HTTP
                span.set_status(Status(StatusCode.ERROR))
            span.end()

    def _end(self, request: int, reason: str) -> None:
        """End the span of an attempt without an answer; `_answer` ended the others."""
        if (span := self._open.pop(request, None)) is not None:
            span.set_status(Status(StatusCode.ERROR, reason))
            span.end()
