"""``/metrics`` for Prometheus: one exposition of all workers, whichever of them answers.

Workers write what they count into the directory ``PROMETHEUS_MULTIPROC_DIR``, which has to be empty when they start.
Without it, a worker tells its own counts only, which is right for a single one.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

from fastapi import HTTPException, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from examples.dashboard.settings import LOOPBACK, Settings
from fathom_async import FathomClient
from fathom_async.integrations.prometheus import ClientMetrics

DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
_EVERY_SECONDS: Final = 2.0
_PROXIES: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class Metrics:
    """The metrics of one worker; `run` tells the others.

    Args:
        fathom: The client of the worker.
        settings: The settings of the worker.
    """

    def __init__(self, fathom: FathomClient, settings: Settings) -> None:
        self._registry = CollectorRegistry()
        self._metrics = ClientMetrics(fathom, self._registry)
        self._is_open = not (settings.login or settings.login_header)
        if directory := os.environ.get(DIRECTORY):
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry, directory)  # type: ignore[no-untyped-call]

    async def run(self) -> None:
        """Copy the counts until cancelled."""
        while True:
            self._metrics.update()
            await asyncio.sleep(_EVERY_SECONDS)

    async def answer(self, request: Request) -> Response:
        """Answer with the metrics; without a login, only to programs of this machine."""
        if self._is_open and not _is_local(request):
            raise HTTPException(403, "Set DASHBOARD_LOGIN to read the metrics from elsewhere.")
        self._metrics.update()
        if directory := os.environ.get(DIRECTORY):
            _forget_dead(Path(directory))
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(
            encode(self._registry), headers={"Content-Type": content_type, "Cache-Control": "no-store"}
        )


def _is_local(request: Request) -> bool:
    """Return whether a program of this machine asks, and no proxy for another one."""
    is_near = (
        request.client is not None and request.client.host in LOOPBACK and request.url.hostname in LOOPBACK
    )
    return is_near and not any(name in request.headers for name in _PROXIES)


def _forget_dead(directory: Path) -> None:
    """Forget what waited in workers that died; what they had counted stays."""
    for file in directory.glob("gauge_live*.db"):
        number = int(file.stem.rpartition("_")[2])
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            file.unlink(missing_ok=True)
        except PermissionError:
            pass
