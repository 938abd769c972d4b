"""The block of ``docs/watch.md`` runs as shown, and its line of JSON is one."""

import ast
import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest

from fathom_async.testing import FathomServer
from fathom_async.watch import Alert, Rule

if TYPE_CHECKING:
    from collections.abc import Awaitable

PAGE = Path(__file__).parents[2] / "docs" / "watch.md"
TEXT = PAGE.read_text("utf8")


async def test_the_block_runs_as_shown(
    fathom_server: FathomServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FATHOM_API_TOKEN", "any")
    monkeypatch.setenv("FATHOM_BASE_URL", fathom_server.url)
    [block] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    code = compile(block, PAGE.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await cast("Awaitable[object]", eval(code, names))  # noqa: S307 - ours
    assert names["result"].errors == {}
    assert re.search(r"^\d+ alerts in 90 days$", capsys.readouterr().out, re.MULTILINE)


def test_the_json_has_the_keys_of_an_alert() -> None:
    [line] = re.findall(r"```json\n(.*)\n```", TEXT)
    told = json.loads(line)
    rule = Rule(name=told["rule"], site_id=told["site_id"], metric=told["metric"], below_median=0.5)
    moments = datetime.fromisoformat(told["start"]), datetime.fromisoformat(told["end"])
    alert = Alert(rule, *moments, told["figure"], told["bound"], told["median"])
    assert told | {"id": alert.id} == alert.to_dict()


def test_every_key_of_a_rule_is_told_and_no_other() -> None:
    table = TEXT.partition("| key | value |")[2].partition("\n\n")[0]
    told = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(["name", *told]) == sorted(field.name for field in attrs.fields(Rule))
