"""``docs/mcp.md`` and the server agree."""

import json
import re
from pathlib import Path

from fathom_async import FathomClient
from fathom_async._cli.app import app
from fathom_async.integrations.mcp import mcp_server

TEXT = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text("utf-8")


async def test_every_tool_is_told_as_a_model_reads_it(fathom: FathomClient) -> None:
    tools = await mcp_server(fathom).list_tools()
    told = re.findall(r"^\| `(\w+)` \| (.*) \|$", TEXT, re.MULTILINE)
    assert told == [(tool.name, tool.description) for tool in tools]


def test_the_block_for_programs_is_json_and_starts_the_command() -> None:
    [block] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    entry = json.loads(block)["mcpServers"]["fathom"]
    assert entry["command"] == "fathom"
    command, bound, *_ = app.parse_args(entry["args"], exit_on_error=False, print_error=False)
    assert command.__module__ == "fathom_async._cli.mcp"
    assert bound.arguments == {"max_requests": 50}
    assert "FATHOM_API_TOKEN" not in entry["env"]
