"""The changelog has the version of the package, and dates."""

import re
from datetime import date
from pathlib import Path
from typing import Final

from packaging.version import Version

from fathom_async import __version__

CHANGELOG: Final = (Path(__file__).parents[2] / "CHANGELOG.md").read_text("utf-8")


def test_versions_have_dates_and_the_newest_is_that_of_the_package() -> None:
    titles = re.findall(r"(?m)^## (.*)$", CHANGELOG)
    released = [title.split(" - ") for title in titles if title != "Unreleased"]
    versions = [Version(version) for version, _ in released]
    assert versions[0] == Version(__version__)
    assert versions == sorted(set(versions), reverse=True)
    dates = [date.fromisoformat(day) for _, day in released]
    assert dates == sorted(dates, reverse=True)


def test_no_entry_is_there_twice() -> None:
    entries = [" ".join(entry.split()) for entry in re.findall(r"(?ms)^- .*?(?=^- |^#|\Z)", CHANGELOG)]
    assert len(entries) > 20
    assert len({*entries}) == len(entries)
