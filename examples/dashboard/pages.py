"""HTML from templates; renders each board once for all pages."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

from attrs import frozen
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from examples.dashboard.board import Board
from examples.dashboard.boards import Notice
from examples.dashboard.ranges import RANGES, RangeName
from fathom_async import Site
from fathom_async.integrations.fastapi import LiveCount


@frozen
class Panel:
    """A site's part of the page.

    Attributes:
        site: The site.
        live: Current visitors; None if unknown.
        live_age: How old that number is, in words; empty if it is current.
        board: HTML of its board; empty if there is none.
        board_age: How old the board is, in words; empty if it is current.
        notice: Why the board is missing or old.
    """

    site: Site
    live: LiveCount | None = None
    live_age: str = ""
    board: str = ""
    board_age: str = ""
    notice: Notice | None = None


@frozen
class Choice:
    """What a page shows, and what it may show.

    Attributes:
        title: Title of the dashboard.
        base: Path of the dashboard on its server, with a slash at its end.
        sites: All sites to choose from.
        notes: Messages about missing sites.
        name: Name of the range.
        most: Most sites to show at once.
        picked: Whether the visitor chose the sites.
    """

    title: str
    base: str
    sites: Sequence[Site]
    notes: Sequence[str]
    name: RangeName
    most: int
    picked: bool


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

    def page(self, panels: tuple[Panel, ...], choice: Choice) -> bytes:
        """Return the whole page: a panel for each site, and the notes about missing sites."""
        return self._kept_page(panels, choice)

    def board(self, board: Board) -> str:
        """Return the HTML of a board."""
        if board not in self._written:
            self._written[board] = Markup(self._board.render(board=board))  # noqa: S704 - the template escaped it
        return self._written[board]

    def _write_page(self, panels: tuple[Panel, ...], choice: Choice) -> bytes:
        return self._page.render(panels=panels, choice=choice, ranges=RANGES).encode()
