"""``python -m examples.dashboard``: on a real account with FATHOM_API_TOKEN set, else on an embedded server."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fathom_async.testing import Dataset, FathomServer

_GRACE_SECONDS = 2
"""How long a worker that is told to stop waits for its pages; the live streams would never end."""


async def main() -> int:
    """Run the workers until they are told to stop."""
    arguments = _arguments()
    async with _environment(arguments) as environment:
        workers = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "--factory", "examples.dashboard.app:create_app"),
            *("--host", arguments.host, "--port", str(arguments.port), "--workers", str(arguments.workers)),
            *("--timeout-graceful-shutdown", str(_GRACE_SECONDS), "--no-access-log"),
            env=os.environ | environment,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _stop, workers)
        return await workers.wait()


def _stop(workers: asyncio.subprocess.Process) -> None:
    if workers.returncode is None:
        workers.terminate()


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
    """Give the workers an account, a budget and a store in common; what the environment has stays."""
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
