"""The commands of many requests, as ``--help`` tells them."""

import pytest

from fathom_async._cli import main


@pytest.mark.parametrize("command", ["live", "run", "plan", "backfill", "budget", "serve", "watch"])
def test_help_has_examples_that_are_not_wrapped(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"Usage: fathom {command}" in told
    examples = told.partition("Examples:\n\n")[2].partition("\n\n")[0].splitlines()
    assert any(line.startswith(("  fathom ", "  FATHOM_BUDGET=")) for line in examples)
    assert all(line.startswith("  ") for line in examples)
