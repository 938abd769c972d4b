"""The command as a shell starts it."""

import pytest

from .conftest import Command


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("sites delete CDBUGS <&-", 2, "fathom: no terminal to confirm on; pass --yes"),
        ("login <&-", 2, "fathom: nothing was given; type it, or pipe it in"),
        ("report CDBUGS >&-", 0, ""),
        ("sites list >&- 2>&-", 0, ""),
        ("sites list --format nonsense 2>&-", 2, ""),
    ],
)
async def test_a_stream_that_is_closed_is_no_terminal(
    command: Command, line: str, code: int, told: str
) -> None:
    ended = await command.in_shell(line)
    assert (ended.code, ended.err.strip()) == (code, told)
