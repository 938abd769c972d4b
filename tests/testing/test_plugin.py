import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from fathom_async.testing import FathomServer

USE = """
import pytest

pytestmark = pytest.mark.fathom_server(speed=60, concurrency=5)

@pytest.mark.asyncio
@pytest.mark.fathom_server(concurrency=7, event_shape="names")
async def test_it(fathom_server):
    assert fathom_server.url.endswith("/v1")
    assert fathom_server.clock.speed == 60
    assert fathom_server.hits == ()
"""


VIRTUAL = """
import asyncio

import pytest

@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_a_day(fathom_server):
    began = fathom_server.clock.time()
    await asyncio.sleep(86_400)
    assert fathom_server.clock.time() == began + 86_400

@pytest.mark.virtual_time
class TestClass:
    @pytest.mark.asyncio
    async def test_a_class(self):
        assert type(asyncio.get_running_loop()).__name__ == "VirtualTimeLoop"

    def test_a_test_without_a_loop(self):
        assert True

@pytest.mark.asyncio
async def test_real_time():
    assert type(asyncio.get_running_loop()).__name__ != "VirtualTimeLoop"
"""

CHOSEN = """
import asyncio

class ChosenLoop(asyncio.SelectorEventLoop):
    pass

def pytest_asyncio_loop_factories(config, item):
    return {"chosen": ChosenLoop}
"""
USES_CHOSEN = """
async def test_chosen():
    assert type(asyncio.get_running_loop()).__name__ == "ChosenLoop"
"""


def run(folder: Path, *arguments: str, test: str = USE) -> subprocess.CompletedProcess[str]:
    (folder / "test_use.py").write_text(test)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", *arguments, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_the_fixture_works_in_both_modes(tmp_path: Path, mode: str) -> None:
    done = run(tmp_path, "-o", f"asyncio_mode={mode}")
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_virtual_time_works_in_both_modes_and_leaves_other_tests_alone(tmp_path: Path, mode: str) -> None:
    done = run(tmp_path, "-vv", "-o", f"asyncio_mode={mode}", test=VIRTUAL)
    assert "4 passed" in done.stdout, done.stdout
    assert "test_real_time PASSED" in done.stdout, done.stdout  # no parameter of ours in its name


def test_virtual_time_leaves_the_loops_that_a_project_has_chosen_to_its_other_tests(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CHOSEN)
    done = run(tmp_path, "-o", "asyncio_mode=auto", test=VIRTUAL + USES_CHOSEN)
    assert "5 passed" in done.stdout, done.stdout


def test_virtual_time_says_which_pytest_asyncio_it_needs(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_configure(config):\n    config.addinivalue_line('markers', 'asyncio: none')\n"
    )
    done = run(tmp_path, "-p", "no:asyncio", "-W", "ignore", test=VIRTUAL)
    assert "the marker `virtual_time` needs pytest-asyncio 1.4" in done.stdout, done.stdout


def test_without_pytest_asyncio_the_error_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_configure(config):\n    config.addinivalue_line('markers', 'asyncio: none')\n"
    )
    done = run(tmp_path, "-p", "no:asyncio", "-W", "ignore")
    assert "pip install pytest-asyncio" in done.stdout, done.stdout


def test_the_plugin_loads_neither_server_nor_aiohttp() -> None:
    code = "import sys, fathom_async.testing.plugin as _; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.fathom_server(concurrency=1, handler_time=0.05)
async def test_the_fixture_serves_this_very_test(fathom_server: FathomServer) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(fathom_server.url.split(":")[2].split("/")[0])
    )
    writer.write(b"GET /v1/account HTTP/1.0\r\nAuthorization: Bearer x\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"200"
    writer.close()
    await writer.wait_closed()
