"""The words of the glossary are those of the documentation."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
COINED = {"Lane", "Window", "Permit", "Budget", "Plan", "Fuse", "Backfill"}
TERMS: list[str] = re.findall(r"^\*\*([^*]+)\.\*\*", GLOSSARY.read_text("utf-8"), re.MULTILINE)


def test_what_is_coined_here_has_one_entry_each() -> None:
    assert set(TERMS) >= COINED
    assert len(TERMS) == len(set(TERMS))


@pytest.mark.parametrize("term", TERMS)
def test_each_term_occurs_in_the_documentation(term: str) -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(page.read_text("utf-8") for page in pages if page != GLOSSARY)
    assert re.search(rf"\b{term.removesuffix('e')}(e|es|ed|s|ing)?\b", text, re.IGNORECASE)
