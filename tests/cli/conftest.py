"""The command, against an embedded server."""

import asyncio
import os
from pathlib import Path

import pytest
from attrs import frozen

from fathom_async.testing import FathomServer

from .command import Ended, in_shell, piped
from .terminal import Act, in_terminal

KEYRINGS = Path(__file__).parent / "keyrings"


@frozen
class Command:
    """Runs ``fathom`` as a process of its own, while the server goes on."""

    env: dict[str, str]

    async def __call__(self, *arguments: str, typed: str = "", **env: str) -> Ended:
        """Run it with pipes.

        Args:
            *arguments: What follows ``fathom``.
            typed: What is piped in.
            **env: More of the environment; empty for not set.
        """
        return await asyncio.to_thread(piped, *arguments, typed=typed, env=self._with(env))

    async def in_shell(self, line: str) -> Ended:
        """Run it with what follows ``fathom`` in a shell, redirections included."""
        return await asyncio.to_thread(in_shell, line, env=self.env)

    async def in_terminal(
        self, *arguments: str, acts: tuple[Act, ...] = (), columns: int = 100, **env: str
    ) -> Ended:
        """Run it in a pseudo-terminal, where somebody types something whenever a text has appeared."""
        return await asyncio.to_thread(
            in_terminal, *arguments, acts=acts, columns=columns, env=self._with(env)
        )

    def _with(self, env: dict[str, str]) -> dict[str, str]:
        return {**self.env, **env}


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """Keep commands from the settings of whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def command(fathom_server: FathomServer, tmp_path: Path) -> Command:
    return Command(
        {
            "FATHOM_API_TOKEN": "any",
            "FATHOM_BASE_URL": fathom_server.url,
            "FATHOM_BUDGET": "",
            "FATHOM_DEBUG": "",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "KEYRING_FILE": str(tmp_path / "keyring.json"),
            "PYTHONPATH": os.pathsep.join([str(KEYRINGS), os.environ.get("PYTHONPATH", "")]).rstrip(
                os.pathsep
            ),
        }
    )
