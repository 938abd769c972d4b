"""``--verbose``."""

import re

from fathom_async.testing import FathomServer, Status

from .conftest import Command


async def test_it_tells_what_becomes_of_each_request(command: Command, fathom_server: FathomServer) -> None:
    fathom_server.inject(Status(503), path="/sites")
    ended = await command("-v", "sites", "list", FATHOM_API_TOKEN="very-secret")
    assert ended.code == 0
    seconds = r"\d+\.\d+ s"
    told = [
        rf"fathom: GET /sites: admitted by the crud lane after {seconds}",
        rf"fathom: GET /sites: 503 after {seconds}",
        rf"fathom: GET /sites: attempt 1 failed, trying again in {seconds}: .*503.*",
        rf"fathom: GET /sites: admitted by the crud lane after {seconds}",
        rf"fathom: GET /sites: 200 after {seconds}",
    ]
    lines = ended.err.splitlines()
    assert len(lines) == len(told)
    assert all(re.fullmatch(*each) for each in zip(told, lines, strict=True))
    assert "very-secret" not in ended.err


async def test_without_it_nothing_is_told(command: Command) -> None:
    assert (await command("sites", "list")).err == ""
