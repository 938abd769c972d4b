"""Money is shown in cents that are called so, or in a currency; files and pipes have cents."""

import csv
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path

import polars as pl
import pytest

from fathom_async._cli.failures import CommandError
from fathom_async._cli.money import read_currency, readable
from fathom_async._cli.output import Records, encoded
from fathom_async.testing import Completion, Dataset, Event, FathomServer, Site

from .conftest import Command

SALES = {"DE": (1999, 100), "US": (123_456_789, None), "FR": (-5,)}
BY_COUNTRY = ("events-report", "SHOP", "purchase", "--metrics", "conversions,value", "--by", "country_code")
BY_VALUE = (*BY_COUNTRY, "--sort", "value:desc")


@pytest.fixture
async def shop() -> AsyncIterator[FathomServer]:
    """A site that sold something in three countries in January."""
    bought = [
        Completion(
            site_id="SHOP",
            at=datetime(2026, 1, 2, 12, tzinfo=UTC),
            country_code=country,
            event="purchase",
            visitor=f"{country}-{place}",
            value=value,
        )
        for country, values in SALES.items()
        for place, value in enumerate(values)
    ]
    data = Dataset(
        sites=[Site(id="SHOP", name="Shop")],
        events=[Event(site_id="SHOP", id="PURCHASE", name="purchase", currency="euro")],
        completions=bought,
    )
    async with FathomServer(data=data, now=datetime(2026, 2, 1, tzinfo=UTC)) as server:
        yield server


@pytest.fixture
def at_shop(command: Command, shop: FathomServer) -> Command:
    return Command({**command.env, "FATHOM_BASE_URL": shop.url})


def lines_of(written: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in written.splitlines() if line.strip(" ─")]


async def test_a_table_says_that_values_are_cents(at_shop: Command) -> None:
    ended = await at_shop(*BY_VALUE, "--format", "table")
    assert lines_of(ended.out) == [
        ["country_code", "conversions", "value (cents)"],
        ["US", "2", "123,456,789"],
        ["DE", "2", "2,099"],
        ["FR", "1", "-5"],
    ]


async def test_a_table_shows_values_in_the_currency(at_shop: Command) -> None:
    ended = await at_shop(*BY_VALUE, "--format", "table", "--currency", "eur")
    assert lines_of(ended.out) == [
        ["country_code", "conversions", "value (EUR)"],
        ["US", "2", "1,234,567.89"],
        ["DE", "2", "20.99"],
        ["FR", "1", "-0.05"],
    ]


async def test_a_terminal_shows_what_a_table_does(at_shop: Command) -> None:
    ended = await at_shop.in_terminal(*BY_VALUE, "--currency", "EUR")
    assert ended.code == 0
    assert "value (EUR)" in ended.out
    assert re.search(r"DE +2 +20\.99", ended.out)


async def test_a_chart_shows_values_in_the_currency(at_shop: Command) -> None:
    ended = await at_shop(*BY_VALUE, "--chart", "--currency", "EUR")
    assert ended.err == ""
    title, first, *_ = ended.out.split("value (EUR)")[1].splitlines()
    assert title == ""
    assert first.split()[:2] == ["US", "1,234,567.89"]
    cents = await at_shop(*BY_VALUE, "--chart")
    assert re.search(r"value \(cents\)\n +US +123,456,789 ", cents.out)


async def test_a_chart_over_time_and_a_figure_alone_show_the_currency(at_shop: Command) -> None:
    total = ("events-report", "SHOP", "purchase", "--metrics", "value", "--chart", "--currency", "EUR")
    assert (await at_shop(*total)).out == "value (EUR)  1,234,588.83\n"
    week = ("--per", "day", "--from", "2026-01-01", "--to", "2026-01-07")
    course = (await at_shop(*total, *week)).out.splitlines()
    assert course[0] == "value (EUR) by day"
    assert course[1].startswith("  1,234,588.83  ")


@pytest.mark.parametrize(
    ("arguments", "heading", "figures", "total"),
    [
        ((), "Value (cents)", ["123,456,789", "2,099", "-5"], "123,458,883"),
        (("--currency", "EUR"), "Value (EUR)", ["1,234,567.89", "20.99", "-0.05"], "1,234,588.83"),
    ],
    ids=["cents", "euro"],
)
async def test_a_page_shows_values_like_the_table(  # noqa: PLR0917 - fixtures and cases
    at_shop: Command, tmp_path: Path, arguments: tuple[str, ...], heading: str, figures: list[str], total: str
) -> None:
    page = tmp_path / "sales.html"
    await at_shop(*BY_VALUE, "--html", str(page), *arguments)
    written = page.read_text("utf-8")
    assert f'<th scope="col" class="number">{heading}</th>' in written
    assert re.findall(r"<span>(\w\w)</span>", written) == ["US", "DE", "FR"]
    assert re.findall(r"<td>([^<]+)</td>", written)[1::2] == figures
    assert f'<dt>{heading}</dt><dd class="value">{total}</dd>' in written


async def test_files_and_pipes_have_cents_under_the_name_of_the_api(at_shop: Command, tmp_path: Path) -> None:
    plain, piped = await at_shop(*BY_VALUE), await at_shop(*BY_VALUE, "--currency", "EUR")
    assert plain.out == piped.out
    assert json.loads(piped.out.splitlines()[1]) == {"country_code": "DE", "conversions": 2, "value": 2099}
    assert plain.err == ""
    assert piped.err == (
        "fathom: value is in cents in JSONL; a table, --chart and --html show the currency\n"
    )
    rows = list(csv.reader(StringIO((await at_shop(*BY_VALUE, "--format", "csv", "--currency", "EUR")).out)))
    assert rows[:2] == [["country_code", "conversions", "value"], ["US", "2", "123456789"]]
    for name in ("sales.parquet", "sales.json"):
        await at_shop(*BY_VALUE, "--currency", "EUR", "-o", str(tmp_path / name))
    assert pl.read_parquet(tmp_path / "sales.parquet")["value"].to_list() == [123_456_789, 2099, -5]
    assert json.loads((tmp_path / "sales.json").read_text())[2]["value"] == -5


async def test_runs_and_backfills_have_cents_under_the_name_of_the_api(
    at_shop: Command, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(
        '[job.sales]\nsite_id = "SHOP"\nentity_name = "purchase"\naggregates = ["value"]\n'
        'field_grouping = "country_code"\n'
    )
    assert (await at_shop("run", str(jobs), "--directory", str(tmp_path))).code == 0
    assert (tmp_path / "sales.csv").read_text() == "country_code,value\nUS,123456789\nDE,2099\nFR,-5\n"
    database = tmp_path / "sales.db"
    filled = await at_shop(
        *("backfill", "SHOP", "--event", "purchase", "--metrics", "value", "--per", "month"),
        *("--since", "2026-01-01", "--target", f"sqlite:{database}#sales"),
    )
    assert filled.code == 0, filled.err
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT value FROM sales").fetchall() == [(123_458_883,)]


async def test_a_text_file_is_a_table(at_shop: Command, tmp_path: Path) -> None:
    file = tmp_path / "sales.txt"
    await at_shop(*BY_VALUE, "--currency", "EUR", "-o", str(file))
    assert lines_of(file.read_text("utf-8"))[2] == ["DE", "2", "20.99"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--metrics", "conversions", "--currency", "EUR"), "add --metrics conversions,value"),
        (("--metrics", "value", "--currency", "dolar"), "not 'dolar'; did you mean 'dollar'?"),
        (("--metrics", "value", "--currency", "€"), "not '€'; there are: dollar, pound, euro,"),
    ],
)
async def test_a_currency_that_cannot_be_shown_costs_no_request(
    at_shop: Command, shop: FathomServer, arguments: tuple[str, ...], told: str
) -> None:
    ended = await at_shop("events-report", "SHOP", "purchase", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert not shop.hits


async def test_pageviews_have_no_currency(command: Command) -> None:
    assert (await command("report", "CDBUGS", "--currency", "EUR")).code == 2


def seen(currency: str | None, *cents: int | None) -> list[str]:
    """What a table shows of some values, its heading first."""
    rows = Records({"value": "count"}, [(cell,) for cell in cents])
    heading, _, *figures = encoded(readable(rows, currency), "table").decode().splitlines()
    return [heading.strip(), *(figure.strip() for figure in figures)]


@pytest.mark.parametrize(
    ("currency", "expected"),
    [
        (None, ["value (cents)", "199,900", "-5", "-"]),
        ("EUR", ["value (EUR)", "1,999.00", "-0.05", "-"]),
        ("JPY", ["value (JPY)", "1,999.00", "-0.05", "-"]),
        ("yen", ["value (yen)", "1,999.00", "-0.05", "-"]),
        ("integer", ["value", "199,900", "-5", "-"]),
        ("none", ["value", "199,900", "-5", "-"]),
    ],
)
def test_every_currency_is_counted_in_hundredths_and_plain_units_are_not(
    currency: str | None, expected: list[str]
) -> None:
    assert seen(currency, 199_900, -5, None) == expected


@pytest.mark.parametrize("cents", [0, 1, 99, 100, 101, -1, 12_345_678, 10**13 + 7, 4_999_999_999_999_999])
def test_amounts_are_exact_to_the_cent(cents: int) -> None:
    assert seen("EUR", cents) == ["value (EUR)", f"{Decimal(cents).scaleb(-2):,.2f}"]


def test_reports_without_values_are_left_alone() -> None:
    rows = Records({"conversions": "count"}, [(5,)])
    assert readable(rows, None) is rows
    assert readable(rows, "EUR") is rows


def test_a_code_may_be_any_currency() -> None:
    assert read_currency("chf", ["value"]) == "CHF"
    with pytest.raises(CommandError, match="did you mean 'euro'"):
        read_currency("Euro", ["value"])
