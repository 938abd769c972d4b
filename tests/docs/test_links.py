"""Links between the pages lead somewhere, and from the README to every page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")


TOCTREE = re.compile(r"(?ms)^```\{toctree\}\n(.*?)^```$")


def prose(page: Path) -> str:
    return re.sub(r"(?ms)^```.*?^```$", "", page.read_text("utf-8"))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    for path, anchor in LINK.findall(prose(page)):
        yield (page.parent / path).resolve() if path else page, anchor
    for tree in TOCTREE.findall(page.read_text("utf-8")):
        for entry in re.findall(r"(?m)^[\w/-]+$", tree):
            yield page.parent / f"{entry}.md", ""


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_or_a_heading_resolves(page: Path) -> None:
    broken = [
        f"{target.name}#{anchor}"
        for target, anchor in links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, left = set[Path](), [ROOT / "README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        left += {target for target, _ in links(page) if target.suffix == ".md"} - reached
    assert {*(ROOT / "docs").rglob("*.md")} <= reached


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_begins_with_its_title_and_has_no_other(page: Path) -> None:
    titles = re.findall(r"(?m)^# ", prose(page))
    assert page.read_text("utf-8").startswith("# ")
    assert len(titles) == 1
