"""HTML from templates; renders each board once for all pages."""

from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

from attrs import frozen
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from examples.dashboard.board import Board
from examples.dashboard.ranges import RANGES, RangeName
from fathom_async import Site
from fathom_async.integrations.fastapi import LiveCount


@frozen
class Panel:
    """A site's part of the page.

    Attributes:
        site: The site.
        live: Current visitors; None if unknown.
        board: HTML of its board; empty if the board is not ready.
        message: The reason why the board is not ready.
    """

    site: Site
    live: LiveCount | None = None
    board: str = ""
    message: str = ""


class Renderer:
    """Renders HTML.

    Args:
        templates: Directory of the templates.
    """

    def __init__(self, templates: Path) -> None:
        environment = Environment(
            loader=FileSystemLoader(templates),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._page = environment.get_template("page.html")
        self._kept_page = lru_cache(maxsize=32)(self._write_page)
        self._board = environment.get_template("board.html")
        self._written: WeakKeyDictionary[Board, Markup] = WeakKeyDictionary()

    def page(self, panels: tuple[Panel, ...], notes: tuple[str, ...], name: RangeName) -> bytes:
        """Return the whole page: a panel for each site, and the notes about missing sites."""
        return self._kept_page(panels, notes, name)

    def board(self, board: Board) -> str:
        """Return the HTML of a board."""
        if board not in self._written:
            self._written[board] = Markup(self._board.render(board=board))  # noqa: S704 - the template escaped it
        return self._written[board]

    def _write_page(self, panels: tuple[Panel, ...], notes: tuple[str, ...], name: RangeName) -> bytes:
        return self._page.render(panels=panels, notes=notes, ranges=RANGES, chosen=name).encode()
