"""The README works on the page of a package index, which has no other file of the repository."""

import re
from pathlib import Path

from hatch_build import on_index_page

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)]*)\)")


def code(text: str) -> list[str]:
    return re.findall(r"(?ms)^```.*?^```$|`[^`\n]+`", text)


def test_links_and_images_lead_to_the_tag_of_the_version() -> None:
    shown = on_index_page(README, "https://forge.example/a/b", "1.2.3")
    assert len(LINK.findall(shown)) == len(LINK.findall(README))
    assert [link for link in LINK.findall(shown) if not link.startswith("https://")] == []
    assert "](https://forge.example/a/b/raw/v1.2.3/docs/images/admission.png)\n" in shown
    assert "](https://forge.example/a/b/blob/v1.2.3/docs/errors.md#retries)" in shown
    assert code(shown) == code(README)


def test_without_an_address_nothing_leads_nowhere() -> None:
    shown = on_index_page(README, "", "1.2.3")
    assert [link for link in LINK.findall(shown) if not link.startswith("https://")] == []
    assert "![" not in shown
    assert "The Python guide continues from here" in shown
    assert code(shown) == code(README)


def test_links_that_work_everywhere_stay_as_they_are() -> None:
    text = "[a](https://a.example/b) ![c](https://a.example/c.png) [d](#e)"
    assert on_index_page(text, "", "1") == on_index_page(text, "https://forge.example", "1") == text
