"""Measure the cost of report rows: 50,000 typed rows against an untyped `orjson.loads` of the same answer.

``python -m benchmarks.rows serve`` runs the server, ``python -m benchmarks.rows NAME`` prints the memory that one
contender needs for a report; the benchmark starts both.
"""

import asyncio
import json
import random
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import GenericAlias

import aiohttp
from aiohttp import web
from attrs import frozen

from benchmarks.harness import Benchmark, Comparison, Contender, compare
from benchmarks.machine import installed, keep_memory
from benchmarks.results import Table
from fathom_async import FathomClient, PageviewQuery, RateLimit, RatePlan

Parse = Callable[[bytes], object]

ROWS = 50_000
ROWS_IN_MEMORY = 200_000
BASELINE = "orjson"
QUERY = PageviewQuery(
    "CDBUGS",
    aggregates=["pageviews", "visits", "avg_duration"],
    field_grouping=["pathname", "browser"],
    date_grouping="day",
)
_STATUS = Path("/proc/self/status")


@cache
def answer(rows: int) -> bytes:
    """Return a report in the server's format: numbers as strings, rows by date."""
    chance = random.Random(1)
    browsers = ("Chrome", "Firefox", "Safari", "Edge", "Mobile Safari")
    days = [str(date(2026, 1, 1) + timedelta(days=day)) for day in range(90)]
    report = [
        {
            "date": days[number * len(days) // rows],
            "pathname": f"/blog/{number % 7}/item-{number % 5000}",
            "browser": browsers[number % 5],
            "pageviews": str(chance.randrange(1, 5000)),
            "visits": str(chance.randrange(1, 3000)),
            "avg_duration": f"{chance.uniform(0, 300):.4f}",
        }
        for number in range(rows)
    ]
    return json.dumps(report, separators=(",", ":")).encode()


def _orjson() -> Parse:
    parse: Parse = import_module("orjson").loads
    return parse


def _fathom_async() -> Parse:
    return QUERY.read


@frozen
class _AttrsRow:
    date: date
    pathname: str | None
    browser: str | None
    pageviews: int | None
    visits: int | None
    avg_duration: float | None


def _cattrs(*, is_detailed: bool = True) -> Parse:
    preconf = import_module("cattrs.preconf.orjson")
    converter = preconf.make_converter(detailed_validation=is_detailed)
    return lambda body: converter.loads(body, list[_AttrsRow])


def _msgspec() -> Parse:
    msgspec = import_module("msgspec")
    decoder = msgspec.json.Decoder(list[_AttrsRow], strict=False)
    parse: Parse = decoder.decode
    return parse


def _pydantic() -> Parse:
    row = import_module("typing_extensions").TypedDict("Row", {**_AttrsRow.__annotations__})
    parse: Parse = import_module("pydantic").TypeAdapter(GenericAlias(list, (row,))).validate_json
    return parse


def _pandas() -> Parse:
    pandas, orjson = import_module("pandas"), import_module("orjson")
    numbers = {"pageviews": "Int64", "visits": "Int64", "avg_duration": "Float64", "date": "datetime64[us]"}
    return lambda body: pandas.DataFrame(orjson.loads(body)).astype(numbers)


def _polars() -> Parse:
    polars = import_module("polars")
    numbers = {"pageviews": polars.Int64, "visits": polars.Int64, "avg_duration": polars.Float64}
    day = polars.col("date").str.to_date()
    return lambda body: polars.read_json(body).cast(numbers).with_columns(day)


_PARSERS: dict[str, Callable[[], Parse]] = {
    BASELINE: _orjson,
    "fathom_async": _fathom_async,
    "msgspec": _msgspec,
    "cattrs": _cattrs,
    "cattrs, not detailed": partial(_cattrs, is_detailed=False),
    "pydantic": _pydantic,
    "pandas": _pandas,
    "polars": _polars,
}


async def _read(session: aiohttp.ClientSession, url: str, parse: Parse) -> object:
    async with session.get(url, params=QUERY.params()) as response:
        return parse(await response.read())


async def _run(rounds: int) -> Sequence[Comparison | Table]:
    if not installed("orjson"):
        print("skipping rows: the baseline needs orjson, which is not installed")
        return []
    names = [name for name in _PARSERS if installed(name.partition(",")[0])]
    async with _serving() as base_url:
        plan = RatePlan(reports=RateLimit(100_000, per=1))
        async with (
            aiohttp.ClientSession() as session,
            FathomClient("any", base_url=base_url, plan=plan) as fathom,
        ):
            url = f"{base_url}/aggregations"
            ours = Contender("fathom_async", partial(fathom.reports.aggregate, QUERY))
            baseline = Contender(BASELINE, partial(_read, session, url, _PARSERS[BASELINE]()))
            # Other contenders in the process affect the ratio, so measure these two alone first.
            alone = await _compare("a report into rows, the two alone", [baseline, ours], rounds)
            peers = [Contender(name, partial(_read, session, url, _PARSERS[name]())) for name in names[2:]]
            beside = await _compare("a report into rows, beside peers", [baseline, ours, *peers], rounds)
    return [alone, beside, *await _memory(names)]


async def _compare(title: str, contenders: Sequence[Contender], rounds: int) -> Comparison:
    return await compare(title, contenders, unit="row", units=ROWS, rounds=rounds)


async def _memory(names: Sequence[str]) -> Sequence[Table]:
    if not sys.platform.startswith("linux"):
        print("skipping peak memory: this system has no /proc")
        return []
    peaks = {name: await _peak_of(name) for name in names}
    rows = [
        (name, f"{peak * 1_000_000 / ROWS_IN_MEMORY / 1e6:,.0f}", f"{peak / peaks[BASELINE]:.2f}")
        for name, peak in peaks.items()
    ]
    return [Table("peak memory", ("parser", "MB/million rows", f"x {BASELINE}"), rows)]


async def _peak_of(name: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.rows", name),
        cwd=_root(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(answer(ROWS_IN_MEMORY))
    return int(output)


def _measure_peak(name: str) -> int:
    """Return the peak growth of this process in bytes while it parses its standard input.

    Another process creates the answer: parsing would reuse memory freed by its creation, which would go uncounted.
    """
    parse = _PARSERS[name]()
    parse(answer(100))
    body = sys.stdin.buffer.read()
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # resets the peak
    before = _status("VmRSS")
    kept = parse(body)
    peak = _status("VmHWM") - before
    del kept
    return peak


def _status(name: str) -> int:
    line = next(line for line in _STATUS.read_text("ascii").splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


@asynccontextmanager
async def _serving() -> AsyncGenerator[str, None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.rows", "serve"),
        cwd=_root(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}/v1"
    finally:
        process.stdin.close()
        await process.wait()


def _root() -> Path:
    return Path(__file__).parent.parent


async def _serve() -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.Response(body=answer(ROWS), content_type="application/json")

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


BENCHMARK = Benchmark(
    name="rows",
    measures=(
        f"Each client fetches a report of {ROWS:,} rows and 6 columns from a server in another process: FathomClient "
        "into typed rows, aiohttp and orjson.loads into dicts of strings (the baseline), aiohttp and each peer into "
        "the peer's own types. Targets: at most 0.75 of the baseline's CPU time and 0.5 of its peak memory."
    ),
    run=_run,
    packages=("aiohttp", "orjson", "msgspec", "attrs", "cattrs", "pydantic", "pandas", "polars"),
)

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        keep_memory()
        asyncio.run(_serve())
    else:
        print(_measure_peak(sys.argv[1]))
