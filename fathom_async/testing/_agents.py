"""Browser, operating system and device of a user agent, by a few rules that cover most traffic."""

import re
from collections.abc import Sequence
from functools import lru_cache

from attrs import frozen

_BOT = re.compile(
    r"bot\b|bot[/;)]|crawl|spider|slurp|feed|fetch|curl|wget|python|java/|ruby|libwww|monitor|check",
    re.IGNORECASE,
)
_BROWSERS = (
    ("Edge", re.compile(r"Edge?/")),
    ("Opera", re.compile(r"OPR/|Opera")),
    ("Mobile Firefox", re.compile(r"Mobile;.*Firefox/|FxiOS")),
    ("Firefox", re.compile(r"Firefox/|Iceweasel/")),
    ("Chrome", re.compile(r"Chrome/|CriOS|Chromium/")),
    ("Android Browser", re.compile(r"Android.*Version/")),
    ("Mobile Safari", re.compile(r"(iPhone|iPad|iPod).*Safari")),
    ("Safari", re.compile(r"Safari/")),
    ("Internet Explorer", re.compile(r"MSIE |Trident/")),
)
_SYSTEMS = (
    ("iOS", re.compile(r"iPhone|iPad|iPod")),
    ("Android", re.compile(r"Android")),
    ("Windows", re.compile(r"Windows")),
    ("macOS", re.compile(r"Mac OS X|Macintosh")),
    ("Chrome OS", re.compile(r"CrOS")),
    ("Linux", re.compile(r"Linux|X11")),
)
_DEVICES = (
    ("Tablet", re.compile(r"iPad|Tablet|Android(?!.*Mobile)")),
    ("Phone", re.compile(r"iPhone|iPod|Mobile|Android")),
    ("Desktop", re.compile(r"Windows|Macintosh|Linux|X11|CrOS")),
)


@frozen
class Agent:
    """A classified user agent; an unknown value is an empty string, and a script or a feed reader is a bot too."""

    browser: str
    operating_system: str
    device_type: str
    is_bot: bool


@lru_cache(maxsize=4096)
def parse_agent(text: str) -> Agent:
    """Classify a `User-Agent` header."""
    is_bot = text in ("", "-") or _BOT.search(text) is not None
    return Agent(_first(_BROWSERS, text), _first(_SYSTEMS, text), _first(_DEVICES, text), is_bot)


def _first(rules: Sequence[tuple[str, re.Pattern[str]]], text: str) -> str:
    return next((name for name, pattern in rules if pattern.search(text)), "")
