"""The measured figures in the README and in the documentation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from benchmarks.admission_contenders import OURS
from benchmarks.claims import Claim, cell

_README: Final = "README.md"
_MACHINES: Final = "docs/many-machines.md"
_GATHER: Final = "gather, exact Retry-After"
_TENACITY: Final = "tenacity, exponential back-off"
_BOTO: Final = "botocore-style adaptive"

_AT_ONCE: Final[Mapping[str, str]] = {
    "**fathom_async**": OURS,
    "gather, exact `Retry-After`": _GATHER,
    _TENACITY: _TENACITY,
    _BOTO: _BOTO,
    "`AsyncLimiter(10, 60)`, retry": "AsyncLimiter(10, 60), retry",
    "`AsyncLimiter(1, 6)`": "AsyncLimiter(1, 6)",
    "pyrate-limiter": "pyrate-limiter",
    "limits, moving window": "limits, moving window",
}
_SERVERS: Final = ("Laravel, exact store", "clock-aligned", "sliding log", "token bucket")

_PAGES: Final[Mapping[str, str]] = {
    "**fathom_async**": OURS,
    _TENACITY: _TENACITY,
    _BOTO: _BOTO,
    "`AsyncLimiter(10, 60)`, retry": "AsyncLimiter(N, T), retry",
    "pyrate-limiter, retry": "pyrate-limiter, retry",
}
_KINDS: Final = ("Laravel", "clock-aligned", "sliding log", "token bucket")

_BESIDE: Final = "one page a minute beside"
_HURRIED: Final = "the same pages"
_PROCESSES: Final = "the job in several processes"
_OUTAGE: Final = "1,500 requests"
_SILENT: Final = "no headers"
_JITTER: Final = "network of 0-500 ms"

_admission: Final = partial(cell, "admission")
_fleet: Final = partial(cell, "fleet")


def _row(head: str, figures: Sequence[Callable[[], str]], *, file: str = _README) -> Claim:
    """Return the claim of a row of a table: in bold where its head is."""
    edge = "**" if head.startswith("**") else ""
    cells = [f"{edge}{{}}{edge}"] * len(figures)
    return Claim(file, f"| {head} | {' | '.join(cells)} |", figures)


def _middle(text: str) -> str:
    """Return a cell of the table of 100 requests without the worst run."""
    refused, _, rest = text.partition(" (")
    return refused + rest.partition(")")[2] if rest else text


def _refused(text: str) -> str:
    return _middle(text).partition(" ")[0]


def _whole(text: str) -> str:
    return f"{float(text.replace(',', '')):,.0f}"


def _seconds(text: str) -> str:
    """Return a mean wait with a decimal where it is short."""
    return text if float(text) < 10 else _whole(text)


def _readme() -> Iterator[Claim]:
    yield Claim(
        _README,
        "Measured with 100 reports at once at 10 a minute, 0–50 ms of jitter each way, on a virtual clock",  # noqa: RUF001
        (),
    )
    for head, client in _AT_ONCE.items():
        cells = [_admission("100 at once", client, server, form=_middle) for server in _SERVERS]
        yield _row(head, cells)
    yield Claim(
        _README,
        "with 0–500 ms of jitter it is refused {} times on the Laravel window and {} times on the sliding log, "  # noqa: RUF001
        "and this client {} and {} times",
        [
            _admission(_JITTER, client, server, form=_refused)
            for client in ("pyrate-limiter, retry", OURS)
            for server in ("Laravel, exact store", "sliding log")
        ],
    )
    yield Claim(
        _README,
        "**A page beside a bulk job** of 300 reports waits so long, mean / 99th percentile in seconds",
        (),
    )
    yield Claim(_README, "| served within 5 s | 4 processes do the job |", ())
    yield Claim(_README, "pages with `max_wait=5`, and pages of one process beside a job of 4 others", ())
    for head, client in _PAGES.items():
        yield _pages(head, client)
    yield Claim(
        _README,
        "**An outage** of 5 s costs 1,500 requests at 2,000 an hour {} attempts, and all are answered after {} s; "
        "one of 30 s costs {} attempts.",
        [
            _admission(_OUTAGE, OURS, "5 s", "hits during the outage"),
            _admission(_OUTAGE, OURS, "5 s", "seconds"),
            _admission(_OUTAGE, OURS, "30 s", "hits during the outage"),
        ],
    )
    yield Claim(
        _README,
        "200 requests to a server that allows 5 in flight are refused {} times, and 60 requests to one that admits "
        "5 a minute where the plan says 10, {} times.",
        [
            _admission(_SILENT, OURS, "5 in flight", "refused"),
            _admission(_SILENT, OURS, "5 a minute, plan says 10", "refused"),
        ],
    )
    for head, name in {
        "a dashboard": "dashboard",
        "two figures of 200 pages": "200 pages",
        "months, quarters, year and breakdowns of 40 sites": "agency of 40 sites",
        "20 events of a shop by campaign, in 12 weeks": "shop of 20 events",
        "nine steps of an analyst, one after the other": "analyst, nine steps",
        "eight weeks of a weekly job": "job of eight weeks",
    }.items():
        yield _row(head, [cell("fusing", "requests", name, column) for column in ("asked", "sent")])
    yield Claim(
        _README,
        "Simulated for 10,000 accounts on 1,000 workers and two Redis servers: {} refused, {} times the optimum.",
        [
            _fleet("simulated", "even accounts", "10,000", "1,000", "2", column)
            for column in ("refused", "x optimum")
        ],
    )


def _pages(head: str, client: str) -> Claim:
    edge = "**" if client == OURS else ""
    pair = f"{edge}{{}} / {{}}{edge}"
    text = f"| {head} | {' | '.join([pair] * len(_KINDS))} | {edge}{{}}{edge} | {pair} |"
    figures = [
        _admission(_BESIDE, client, kind, column, form=form)
        for kind in _KINDS
        for column, form in (("mean wait", _seconds), ("p99", _whole))
    ]
    figures.append(_admission(_HURRIED, client, "Laravel", "served"))
    figures += [
        _admission(_PROCESSES, client, "4 on Laravel", column, form=form)
        for column, form in (("mean wait", _seconds), ("p99", _whole))
    ]
    return Claim(_README, text, figures)


def _machines() -> Iterator[Claim]:
    yield Claim(
        _MACHINES, "measures what accounts and workers take of a real Redis, with 40 accounts at once", ()
    )
    for what in (
        "CPU of the budget per request",
        "CPU of the store per request, with time zones kept",
        "CPU of both per report",
        "memory of an account's budget",
        "memory of a cached answer, most with a row or a few",
        "memory of a cached answer of 1,000 rows",
        "memory of a connection",
    ):
        figure = _fleet("measured", what, "cost")
        unit = ("µs", "kB")[what.startswith("memory")]
        yield Claim(_MACHINES, f"| {what} | {{}} {unit} |", [_first(figure)])
    for what in ("connections of a worker with 1 account", "connections of a worker with 40 accounts"):
        yield _row(what, [_fleet("measured", what, "cost")], file=_MACHINES)
    yield Claim(_MACHINES, "where one worker of 100 is killed", ())
    yield Claim(
        _MACHINES, "commands queue for longer than the 2 s after which a real client takes Redis for", ()
    )
    for row in (
        ("even accounts", "1,000", "100", "1"),
        ("even accounts", "10,000", "1,000", "1"),
        ("even accounts", "10,000", "1,000", "2"),
        ("1 of 20 accounts is slow", "500", "50", "1"),
        ("the same, all tasks at once", "500", "50", "1"),
    ):
        columns = ("requests", "refused", "makespan", "x optimum", "Redis busy", "longest queue s")
        forms: Sequence[Callable[[str], str]] = (str, str, _whole, str, str, _leading)
        yield _row(
            " | ".join(row),
            [
                _fleet("simulated", *row, column, form=form)
                for column, form in zip(columns, forms, strict=True)
            ],
            file=_MACHINES,
        )


def _first(figure: Callable[[], str]) -> Callable[[], str]:
    return lambda: _leading(figure())


def _leading(text: str) -> str:
    """Return a figure without its unit."""
    return text.split(" ", maxsplit=1)[0]


CLAIMS: Final[Sequence[Claim]] = (*_readme(), *_machines())
