"""The command as a shell starts it."""

import pytest

from .conftest import Command


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("sites delete CDBUGS <&-", 2, "fathom: no terminal to confirm on; pass --yes"),
        ("report CDBUGS >&-", 0, ""),
        ("sites list >&- 2>&-", 0, ""),
        ("sites list --format nonsense 2>&-", 2, ""),
        ("sites list > /dev/full", 1, "fathom: No space left on device"),
        ("completion bash > /dev/full", 1, "fathom: No space left on device"),
        ("sites get NOSUCH 2> /dev/full", 4, ""),
    ],
)
async def test_a_stream_that_is_closed_or_full_ends_no_command_with_a_trace(
    command: Command, line: str, code: int, told: str
) -> None:
    ended = await command.in_shell(line)
    assert (ended.code, ended.err.strip()) == (code, told)
