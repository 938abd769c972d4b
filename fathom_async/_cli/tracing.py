"""``--verbose``: what becomes of each request, a line for each step."""

from typing import Final

from attrs import asdict, define, field

from fathom_async import telemetry
from fathom_async._cli.output import note

_WORDS: Final[dict[type[telemetry.Event], str]] = {
    telemetry.Admitted: "admitted by the {lane} lane after {waited:.2f} s",
    telemetry.Answered: "{status} after {seconds:.2f} s",
    telemetry.Retried: "attempt {attempt} failed, trying again in {delay:.1f} s: {reason}",
    telemetry.Failed: "failed: {reason}",
    telemetry.Paused: "paused for {seconds:.1f} s: {reason}",
    telemetry.Adapted: "{what} changed from {before:,} to {after:,}",
    telemetry.Recovered: "the server answers again",
}


@define
class Trace:
    """Writes events; they hold neither credentials nor queries."""

    _requests: dict[int, str] = field(init=False, factory=dict[int, str])

    def __call__(self, event: telemetry.Event) -> None:
        """Write the line about an event, if there is anything to tell."""
        if isinstance(event, telemetry.Queued):
            self._requests[event.request] = f"{event.method} {event.path}"
        elif words := _WORDS.get(type(event)):
            subject = self._requests.get(getattr(event, "request", 0), f"{event.lane} lane")
            note(f"{subject}: {words.format_map(asdict(event))}")
