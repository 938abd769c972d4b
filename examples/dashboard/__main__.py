"""Run the dashboard on a real account if FATHOM_API_TOKEN is set, else on an embedded server."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from examples.dashboard.settings import Settings
from fathom_async import AuthenticationError, FathomClient, FathomError, PageviewQuery
from fathom_async.testing import Dataset, FathomServer

_GRACE_SECONDS = 1
"""Seconds for which a stopping worker waits for open responses."""
_MAKING_UP = 300.0
_PATIENCE = 5.0
"""Seconds to wait for the API to check the token."""


async def main() -> int | str:
    """Run the workers; return their exit code, or the error that prevents their start.

    A signal stops the workers, then this process.
    """
    signals: list[signal.Signals] = []
    run = asyncio.create_task(_run(_arguments()))

    def stop(number: signal.Signals) -> None:
        if not signals:
            run.cancel()
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        return await run
    except asyncio.CancelledError:
        # Die of the signal, as the caller expects: a normal exit would wait for the thread that makes up the data.
        signal.signal(signals[0], signal.SIG_DFL)
        signal.raise_signal(signals[0])
        raise


async def _run(arguments: argparse.Namespace) -> int | str:
    async with _environment(arguments) as settings, AsyncExitStack() as stack:
        environment = os.environ | settings
        if refusal := await _refusal(environment):
            return refusal
        if not environment.get("PROMETHEUS_MULTIPROC_DIR"):
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            environment["PROMETHEUS_MULTIPROC_DIR"] = directory
        workers = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "--factory", "examples.dashboard.app:create_app"),
            *("--host", arguments.host, "--port", str(arguments.port), "--workers", str(arguments.workers)),
            *("--timeout-graceful-shutdown", str(_GRACE_SECONDS), "--no-access-log"),
            env=environment,
            process_group=0,  # Ctrl-C reaches this process only, which then stops the workers once
        )
        try:
            return await workers.wait()
        finally:
            if workers.returncode is None:
                workers.terminate()
                await workers.wait()


async def _refusal(environ: Mapping[str, str]) -> str | None:
    """Return a permanent error before every worker reports it; None also during an outage."""
    try:
        settings = Settings.from_env(environ)
        client = settings.client()
    except ValueError as error:
        return str(error)
    with suppress(FathomError, TimeoutError):
        async with client as fathom, asyncio.timeout(_PATIENCE):
            try:
                await (fathom.sites.get(settings.sites[0]) if settings.sites else fathom.sites.list(limit=1))
            except AuthenticationError as error:
                return f"Fathom rejected FATHOM_API_TOKEN: {error}"
    return None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.dashboard", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("dashboard-data"),
        help="directory for the answers of a real account",
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=6.0,
        help="speed of the embedded server's clock; at 6, a minute lasts 10 s",
    )
    return parser.parse_args()


@asynccontextmanager
async def _environment(arguments: argparse.Namespace) -> AsyncGenerator[Mapping[str, str]]:
    """Set the account, budget and store that the workers share, unless the environment has them."""
    if os.environ.get("FATHOM_API_TOKEN"):
        arguments.data.mkdir(parents=True, exist_ok=True)
        yield _shared(arguments.data)
        return
    sys.stdout.write(
        "FATHOM_API_TOKEN is not set: the sites are made up. The limit of 10 reports a minute is real, "
        f"but a minute lasts {60 / arguments.speed:g} s; see --speed.\n"
    )
    data = Dataset.synthetic(days=740, visits_per_day=40)
    await _make_up(data)
    with tempfile.TemporaryDirectory() as directory:
        async with FathomServer(data=data, latency=(0.02, 0.1), speed=arguments.speed) as server:
            yield {
                **_shared(Path(directory)),
                "FATHOM_API_TOKEN": "any",
                "FATHOM_BASE_URL": server.url,
                "DASHBOARD_SPEED": str(arguments.speed),
            }


async def _make_up(data: Dataset) -> None:
    """Have the data made up, which the first report would wait for."""
    async with (
        FathomServer(data=data) as server,
        FathomClient("any", base_url=server.url, timeout=_MAKING_UP) as fathom,
    ):
        await fathom.reports.aggregate(PageviewQuery(data.sites[0].id, aggregates=["visits"]))


def _shared(directory: Path) -> Mapping[str, str]:
    wanted = {
        "FATHOM_BUDGET": f"file://{directory.resolve()}/budget",
        "DASHBOARD_STORE": str(directory.resolve() / "reports.db"),
    }
    return {name: os.environ.get(name) or value for name, value in wanted.items()}


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
