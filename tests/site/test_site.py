"""The built site: what a visitor looks for is found, and what is public is described."""

import json
import re
from collections.abc import Mapping
from functools import cached_property
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import attrs
import pytest
from sphinx.search.en import SearchEnglish
from sphinx.util.inventory import InventoryFile

from tests.test_public import PUBLIC, ROOT

WORDS: Final = ("proxy", "Docker", "cents", "time zone", "429", "mock", "pagination", "Jupyter", "Windows")

FIRST: Final = {
    "rate-limits": ("rate limit", "throttling", "quota"),
    "errors": ("401", "403", "404", "429", "503", "retry"),
    "python": (
        "CSV",
        "parquet",
        "pandas",
        "export",
        "UTC",
        "cents",
        "currency",
        "timeout",
        "Sentry",
        "Windows",
    ),
    "applications": ("async", "asyncio"),
    "testing": ("mock",),
    "notebooks": ("Jupyter",),
    "networks": ("proxy", "token", "certificate"),
    "deploying": ("Docker", "nginx", "systemd"),
    "operations": ("cron", "Kubernetes", "Lambda"),
    "engines": ("Celery", "Airflow"),
    "many-machines": ("Dask", "taskiq", "Redis"),
    "reference/fields": ("unique visitors",),
}
"""Pages that the search shows first for a word, by an entry of the general index."""


@attrs.define(slots=False)
class SearchIndex:
    """What the search of a built site knows, with the rules by which its script finds pages."""

    entries: Mapping[str, Any]

    @classmethod
    def of(cls, site: Path) -> "SearchIndex":
        text = (site / "searchindex.js").read_text("utf-8")
        return cls(json.loads(text.removeprefix("Search.setIndex(").removesuffix(")")))

    @cached_property
    def _stemmer(self) -> SearchEnglish:
        return SearchEnglish({})

    def find(self, query: str) -> set[str]:
        """Return the pages that have all words of the query, or an entry of the general index for it."""
        named: Mapping[str, list[list[Any]]] = self.entries["indexentries"]
        pages: set[int] = {page for page, *_ in named.get(query.lower(), ())}
        words = [self._stemmer.stem(word.lower()) for word in query.split() if not word.isdigit()]
        if words:
            first, *others = (self._with(word) for word in words)
            pages |= first.intersection(*others)
        return {self.entries["docnames"][page] for page in pages}

    def _with(self, word: str) -> set[int]:
        found: set[int] = set()
        for kind in ("terms", "titleterms"):
            pages = self.entries[kind].get(word, [])
            found |= {pages} if isinstance(pages, int) else set(pages)
        return found


@pytest.fixture(scope="session")
def index(site: Path) -> SearchIndex:
    return SearchIndex.of(site)


def text_of(page: Path) -> str:
    return unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8").partition("<article")[2]))


@pytest.mark.parametrize("words", WORDS)
def test_a_search_finds_a_page(index: SearchIndex, words: str) -> None:
    assert index.find(words)


@pytest.mark.parametrize(("page", "word"), [(page, word) for page, words in FIRST.items() for word in words])
def test_a_search_for_a_common_word_shows_its_page_first(index: SearchIndex, page: str, word: str) -> None:
    entries: list[list[Any]] = index.entries["indexentries"][word.lower()]
    assert [(index.entries["docnames"][number], is_main) for number, _, is_main in entries] == [(page, True)]


def test_a_search_for_what_is_not_there_finds_nothing(index: SearchIndex) -> None:
    assert index.find("xylophone") == set()


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_described(site: Path, module: str) -> None:
    described = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    known = {name for kind, names in described.items() if kind.startswith("py:") for name in names}
    found = import_module(module)
    for name in cast("list[str]", getattr(found, "__all__", [])):
        value: object = getattr(found, name)
        homes = {module, getattr(value, "__module__", module), "fathom_async"}
        assert name == "__version__" or known & {f"{home}.{name}" for home in homes}, name


def test_every_variable_that_the_code_names_is_in_the_table(site: Path) -> None:
    shown = text_of(site / "reference" / "settings.html")
    sources = (file for folder in ("fathom_async", "examples") for file in (ROOT / folder).rglob("*.py"))
    named = {
        name
        for file in sources
        for name in re.findall(r"\b(?:FATHOM|DASHBOARD)_[A-Z_]*[A-Z]\b", file.read_text("utf-8"))
    }
    assert len(named) > 15
    assert named <= set(re.findall(r"\w+", shown))


def test_every_variable_is_explained(site: Path) -> None:
    rows = re.findall(
        r"<tr[^>]*>(.*?)</tr>", (site / "reference" / "settings.html").read_text("utf-8"), re.DOTALL
    )
    cells = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in rows[1:]]
    assert [variable for variable, meaning, _ in cells if not meaning.strip()] == []
