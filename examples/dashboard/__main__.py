"""``python -m examples.dashboard``: on a real account with FATHOM_API_TOKEN set, else on an embedded server."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from examples.dashboard.settings import Settings
from fathom_async import AuthenticationError, FathomError
from fathom_async.testing import Dataset, FathomServer

_GRACE_SECONDS = 1
"""Seconds that a stopping worker waits for slow readers."""
_PATIENCE = 5.0
"""Seconds to wait for the API's verdict on the token."""


async def main() -> int | str:
    """Run the workers until they end, and return their exit code, or what keeps them from starting.

    A signal ends them, and then this process.
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
        # Ends as its caller expects of a signal, and at once: a thread that makes up figures would be waited for.
        signal.signal(signals[0], signal.SIG_DFL)
        signal.raise_signal(signals[0])
        raise


async def _run(arguments: argparse.Namespace) -> int | str:
    async with _environment(arguments) as environment:
        if refusal := await _refusal(os.environ | environment):
            return refusal
        workers = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "--factory", "examples.dashboard.app:create_app"),
            *("--host", arguments.host, "--port", str(arguments.port), "--workers", str(arguments.workers)),
            *("--timeout-graceful-shutdown", str(_GRACE_SECONDS), "--no-access-log"),
            env=os.environ | environment,
            process_group=0,  # Ctrl-C is for this process, which tells them once
        )
        try:
            return await workers.wait()
        finally:
            if workers.returncode is None:
                workers.terminate()
                await workers.wait()


async def _refusal(environ: Mapping[str, str]) -> str | None:
    """Return a permanent error once, before each worker reports it; start in spite of an outage."""
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
                return f"FATHOM_API_TOKEN is refused: {error}"
    return None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.dashboard", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--data", type=Path, default=Path("dashboard-data"), help="where a real account's answers are kept"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="how fast the embedded server's time passes")
    return parser.parse_args()


@asynccontextmanager
async def _environment(arguments: argparse.Namespace) -> AsyncGenerator[Mapping[str, str]]:
    """Set the account, budget and store that the workers share, unless the environment has them."""
    if os.environ.get("FATHOM_API_TOKEN"):
        arguments.data.mkdir(parents=True, exist_ok=True)
        yield _shared(arguments.data)
        return
    sys.stdout.write(
        "FATHOM_API_TOKEN is not set: the sites are made up, the limit of 10 reports a minute is real.\n"
    )
    data = await asyncio.to_thread(Dataset.synthetic, days=740, visits_per_day=80)
    with tempfile.TemporaryDirectory() as directory:
        async with FathomServer(data=data, latency=(0.02, 0.1), speed=arguments.speed) as server:
            yield {
                **_shared(Path(directory)),
                "FATHOM_API_TOKEN": "any",
                "FATHOM_BASE_URL": server.url,
                "DASHBOARD_SPEED": str(arguments.speed),
            }


def _shared(directory: Path) -> Mapping[str, str]:
    wanted = {
        "FATHOM_BUDGET": f"file://{directory.resolve()}/budget",
        "DASHBOARD_STORE": str(directory.resolve() / "reports.db"),
    }
    return {name: os.environ.get(name) or value for name, value in wanted.items()}


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
