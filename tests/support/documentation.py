"""Blocks of code of the documentation, run as they stand."""

import ast
import inspect
import re
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable

DOCS: Final = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    """Return the blocks of Python of a page."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


def compiled(block: str) -> CodeType:
    """Compile a block of code that may await."""
    code: CodeType = compile(block, "a block of the documentation", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


async def run(block: str, names: dict[str, Any]) -> None:
    """Run a block of code that may await."""
    made: object = eval(compiled(block), names)  # noqa: S307 - ours
    if inspect.isawaitable(made):
        await cast("Awaitable[object]", made)
