"""Job files: the queries they make, and the faults they report."""

import io
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fathom_async import ArgumentError, EventQuery, Filter, PageviewQuery
from fathom_async.jobs._faults import JobFileError
from fathom_async.jobs._file import MOST_QUERIES, JobFile, Output, load_jobs
from fathom_async.testing import Dataset

DOCS = Path(__file__).parents[2] / "docs" / "job-files.md"
NOW = datetime(2026, 3, 20, 3, 30, tzinfo=UTC)  # the 19th in New York
ZONES = {"CDBUGS": ZoneInfo("America/New_York"), "GCDFSX": ZoneInfo("UTC"), "DAFFYD": ZoneInfo("Asia/Tokyo")}
BLOCKS = re.findall(r"```toml\n(.*?)```", DOCS.read_text("utf8"), re.DOTALL)

JOB = '[job.pages]\nsite_id = "CDBUGS"\naggregates = ["pageviews"]\n'


def load(written: str) -> JobFile:
    return load_jobs(io.BytesIO(written.encode()), now=NOW, zones=ZONES)


def faults(written: str) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        load(written)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_documentation_shows_can_be_loaded_and_tried_with_fathom_serve(block: str) -> None:
    queries = [named.query for job in load(block).jobs for named in job.queries]
    served = Dataset.synthetic(days=1)
    assert queries
    assert {query.site_id for query in queries} <= {site.id for site in served.sites}
    events = {query.entity_name for query in queries if isinstance(query, EventQuery)}
    assert events <= {event.name for event in served.events}


def test_the_documented_example_makes_what_it_says() -> None:
    jobs = load(BLOCKS[0])
    visitors, top_pages, sections, sales = jobs.jobs
    assert {job.name: len(job.queries) for job in jobs.jobs} == {
        "visitors": 1,
        "top-pages": 6,
        "sections": 4,
        "sales": 4,
    }
    assert [query.name for query in visitors.queries + sections.queries + sales.queries] == [
        "visitors",
        "sections-visits-blog",
        "sections-visits-help",
        "sections-pageviews+bounce_rate-blog",
        "sections-pageviews+bounce_rate-help",
        "sales-CDBUGS-purchase",
        "sales-CDBUGS-download",
        "sales-GCDFSX-purchase",
        "sales-GCDFSX-download",
    ]
    assert [query.name for query in top_pages.queries[:2]] == [
        "top-pages-CDBUGS-2026-02-01",
        "top-pages-CDBUGS-2026-03-13",
    ]
    assert sections.queries[1].query == PageviewQuery(
        "CDBUGS",
        aggregates=["visits"],
        date_from="2026-01-01",
        date_to="2026-01-31",
        filters=[
            Filter("device_type", "is", "Desktop"),
            Filter("pathname", "matching", "^/(docs|guides)/"),
        ],
    )
    assert sales.queries[0].query == EventQuery(
        "CDBUGS",
        "purchase",
        aggregates=["conversions", "value"],
        field_grouping=["country_code"],
        date_grouping="month",
        date_from="2025-03-01",
        date_to="2026-02-28",
    )
    assert [job.complete for job in jobs.jobs] == [False, False, False, True]
    assert visitors.output == Output("csv", Path("reports"), "reports.db")
    assert sales.output == Output("parquet", Path("sales"), "reports.db")


def test_a_job_that_compares_has_both_queries_up_to_the_same_hour_of_the_sites_clock() -> None:
    [job] = load(
        '[job.growth]\naggregates = ["visits"]\nfield_grouping = ["pathname"]\nlimit = 3\nperiod = "today"\n'
        'compare = "previous year"\nmatrix.site_id = ["CDBUGS", "DAFFYD"]\n'
    ).jobs
    named, tokyo = job.queries
    assert (named.name, named.period, named.limit) == ("growth-CDBUGS", "today", 3)
    assert [(query.date_from, query.date_to, query.limit) for query in named.queries] == [
        (datetime(2026, 3, 19), datetime(2026, 3, 19, 22, 59, 59), None),  # noqa: DTZ001 - the site's clock
        (datetime(2025, 3, 19), datetime(2025, 3, 19, 22, 59, 59), None),  # noqa: DTZ001 - the site's clock
    ]
    assert tokyo.queries[0].date_to == datetime(2026, 3, 20, 11, 59, 59)  # noqa: DTZ001 - the site's clock


@pytest.mark.parametrize(
    ("range_", "words"),
    [
        ('period = "2026-01"', None),
        ('date_from = "2026-01-01"\ndate_to = "2026-01-31"', None),
        ('period = "2026-03"', "2026-03"),
        ('date_from = "2026-03-01"\ndate_to = "2026-03-31"', "previous period"),
        ('period = "2026-03"\ntimezone = "Asia/Tokyo"', "2026-03"),
    ],
)
def test_a_dated_comparison_depends_on_the_clock_only_while_its_period_runs(
    range_: str, words: str | None
) -> None:
    written = f'{JOB}{range_}\ncompare = "previous period"\n'
    zones = {} if words is None or "timezone" in range_ else ZONES
    [job] = load_jobs(io.BytesIO(written.encode()), now=NOW, zones=zones).jobs
    assert [(each.period, each.former is not None) for each in job.queries] == [(words, True)]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ('compare = "previous month"', "job.pages.compare: compare has no 'previous month'"),
        ("compare = true", "job.pages.compare: compare takes names as str, not True"),
        ('compare = "previous year"', "job.pages: a comparison needs a range; write period ="),
        ('compare = "previous year"\nperiod = "2027"', "job.pages: nothing of a period that begins at 2027"),
        ('matrix.compare = ["previous year"]', "job.pages.matrix.compare: unknown key"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_a_fault(written: str, fault: str) -> None:
    [told] = faults(f"{JOB}{written}\n")
    assert told.startswith(fault)


def test_a_period_is_counted_on_the_clock_of_the_site() -> None:
    [job] = load(
        '[job.day]\naggregates = ["visits"]\nperiod = "today"\nname = "{site_id}-{date_from}"\n'
        '[job.day.matrix]\nsite_id = ["CDBUGS", "GCDFSX"]\n'
    ).jobs
    assert [each.name for each in job.queries] == ["CDBUGS-2026-03-19", "GCDFSX-2026-03-20"]
    assert [each.period for each in job.queries] == ["today", "today"]


def test_the_querys_own_time_zone_or_a_clock_without_one_need_no_site() -> None:
    written = '[job.a]\nsite_id = "NEW"\naggregates = ["visits"]\nperiod = "today"\n'
    [fault] = faults(written)
    assert fault.startswith("job.a: the time zone of the site 'NEW' is unknown")
    assert fault.endswith('write date_from and date_to, or timezone = "Europe/Berlin"')
    [job] = load(written + 'timezone = "America/New_York"').jobs
    assert job.queries[0].query.date_from == datetime(2026, 3, 19)  # noqa: DTZ001
    [job] = load_jobs(io.BytesIO(written.encode()), now=datetime(2026, 3, 20)).jobs  # noqa: DTZ001
    assert job.queries[0].query.date_from == datetime(2026, 3, 20)  # noqa: DTZ001


def test_ranges_are_written_one_by_one_as_periods_and_need_no_clock() -> None:
    [job] = load(
        '[job.a]\nsite_id = "NEW"\naggregates = ["visits"]\n'
        '[job.a.matrix]\nperiod = ["2024-01-01 to 2024-01-31", "2024-02", "Q2 2024"]\n'
    ).jobs
    assert [(each.name, each.period) for each in job.queries] == [
        ("a-2024-01-01-to-2024-01-31", None),
        ("a-2024-02", None),
        ("a-Q2-2024", None),
    ]
    assert [f"{each.query.date_from} {each.query.date_to}" for each in job.queries] == [
        "2024-01-01 00:00:00 2024-01-31 23:59:59",
        "2024-02-01 00:00:00 2024-02-29 23:59:59",
        "2024-04-01 00:00:00 2024-06-30 23:59:59",
    ]


def test_a_moment_with_an_offset_is_read_where_the_query_has_a_time_zone() -> None:
    [job] = load(JOB + 'date_from = 2026-01-01T10:00:00Z\ntimezone = "Asia/Tokyo"').jobs
    assert job.queries[0].query.date_from == datetime(2026, 1, 1, 19)  # noqa: DTZ001


def test_no_filters_and_no_groupings_are_values_of_a_matrix_too() -> None:
    [job] = load(
        JOB + "[job.pages.matrix]\n"
        'filters = [[], { property = "pathname", operator = "is", value = "/" }]\n'
        'field_grouping = [[], "browser"]\n'
    ).jobs
    assert [each.name for each in job.queries] == [
        "pages-none-none",
        "pages-none-pathname-is",
        "pages-browser-none",
        "pages-browser-pathname-is",
    ]
    assert [len(each.query.filters) for each in job.queries] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("rest", "sort_by"),
    [
        ('field_grouping = "pathname"\nlimit = 10', "pageviews:desc"),
        ('field_grouping = "pathname"', "pageviews:desc"),
        ('field_grouping = "pathname"\nlimit = 10\ndate_grouping = "day"', "pageviews:desc"),
        ('field_grouping = "pathname"\nlimit = 10\nsort_by = "pathname:asc"', "pathname:asc"),
        ('field_grouping = "pathname"\ndate_grouping = "day"', None),
        ('date_grouping = "day"', None),
        ("limit = 10", None),
        ("", None),
    ],
)
def test_groups_are_sorted_by_what_is_counted_first_unless_dates_give_the_order(
    rest: str, sort_by: str | None
) -> None:
    [job] = load(JOB.replace('["pageviews"]', '["pageviews", "visits"]') + rest).jobs
    assert job.queries[0].query.sort_by == sort_by


def test_each_query_of_a_matrix_is_sorted_by_what_it_counts_itself() -> None:
    [job] = load(
        JOB.replace('aggregates = ["pageviews"]\n', 'field_grouping = "pathname"\nlimit = 10\n')
        + '[job.pages.matrix]\naggregates = ["visits", ["uniques", "visits"]]'
    ).jobs
    assert [each.query.sort_by for each in job.queries] == ["visits:desc", "uniques:desc"]


def test_names_are_the_same_whatever_the_order_of_the_keys() -> None:
    one = load(
        JOB.replace('site_id = "CDBUGS"\n', "") + '[job.pages.matrix]\nsite_id = ["A", "B"]\nlimit = [1, 2]'
    )
    two = load(
        JOB.replace('site_id = "CDBUGS"\n', "") + '[job.pages.matrix]\nlimit = [1, 2]\nsite_id = ["A", "B"]'
    )
    assert one == two
    assert [query.name for query in one.jobs[0].queries] == [
        "pages-A-1",
        "pages-A-2",
        "pages-B-1",
        "pages-B-2",
    ]


def test_a_path_and_an_open_file_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(JOB, "utf8")
    with path.open("rb") as file:
        assert load_jobs(path, now=NOW) == load_jobs(str(path), now=NOW) == load_jobs(file, now=NOW)
    path.write_text("[job\n", "utf8")
    with pytest.raises(JobFileError, match=rf"^{re.escape(str(path))}: this is not TOML: .*line 1"):
        load_jobs(path, now=NOW)
    with path.open("r") as file, pytest.raises(ArgumentError, match="binary mode"):
        load_jobs(file, now=NOW)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(FileNotFoundError):
        load_jobs(tmp_path / "other.toml", now=NOW)


@pytest.mark.parametrize(
    ("rest", "fault"),
    [
        ("limt = 3", ".limt: unknown key; did you mean 'limit'?"),
        ("limit = 3000", ".limit: limit must be between 1 and 1000, not 3000"),
        ('period = "last month"', ".period: 'last month' can be read in two ways; write 'previous month'"),
        ("period = 3", ".period: period must be a str, not int; write '3'"),
        (
            'period = "today"\ndate_to = 2026-01-01',
            ".period: is the whole range; leave out date_to, or period",
        ),
        ("date_from = 2026-02-01\ndate_to = 2026-01-01", ": date_to 2026-01-01 23:59:59 is before date_from"),
        (
            'date_from = "Feb 1"',
            '.date_from: date_from cannot be read: "Feb 1"; write 2026-01-01 or 2026-01-01 15:3',
        ),
        ('date_from = "2026-13-01"', ".date_from: date_from cannot be read"),
        ("date_to = 12:30:00", ".date_to: date_to cannot be read: 12:30:00; write 2026-01-31"),
        (
            "date_from = 2026-01-01T10:00:00Z",
            (
                ".date_from: date_from has an offset, but the range is in the site's time zone; write date_from = "
                '2026-01-01 10:00:00 as shown by its clock, or add timezone = "UTC" for UTC'
            ),
        ),
        ('matrix = { date_to = ["2026-01-01T10:00+02:00"] }', ".matrix.date_to: date_to has an offset"),
        (
            'sort_by = ["pageviews:asc", "pageviews:desc"]',
            (
                ".sort_by: takes one value; write several in [job.pages.matrix], as sort_by = "
                '["pageviews:asc", "pageviews:desc"]'
            ),
        ),
        (
            'date_grouping = ["day", "month"]',
            '.date_grouping: takes one value; write several in [job.pages.matrix], as date_grouping = ["day", "m',
        ),
        ('period = ["today"]', ".period: takes one value; write several in [job.pages.matrix]"),
        (
            "limit = [5, 6]",
            ".limit: takes one value; write several in [job.pages.matrix], as limit = [5, 6]",
        ),
        (
            'period = { now = "today", "the \\"day\\"" = "yesterday" }',
            (
                ".period: takes one value; write several in [job.pages.matrix], as period = "
                '{ now = "today", "the \\"day\\"" = "yesterday" }'
            ),
        ),
        (
            'field_grouping = [["browser"], []]',
            '.field_grouping: takes one value; write several in [job.pages.matrix], as field_grouping = [["bro',
        ),
        (
            "matrix = { limit = [[5, 6]] }",
            ".matrix.limit: each value in a matrix is a single value; write limit = [5, 6]",
        ),
        (
            "matrix = { date_from = [2026-01-01, 2026-02-01], date_to = [2026-01-31, 2026-02-28] }",
            (
                ".matrix: each date_from goes with each date_to, and 2026-01-31 23:59:59 is before 2026-02-01 "
                '00:00:00; write the ranges one by one, such as period = ["2026-01-01 to 2026-01-31", "2026-02"]'
            ),
        ),
        (
            "date_from = 2026-02-01\nmatrix = { date_to = [2026-01-31, 2026-02-28] }",
            ".matrix: each date_from goes with each date_to",
        ),
        ('period = "2026-13"', ".period: '2026-13' is not in the calendar"),
        (
            'period = "2026-02-01 to 2026-01-01"',
            ".period: '2026-02-01 to 2026-01-01' ends before it begins; write '2026-01-01 to 2026-02-01'",
        ),
        ("period = 2026-01-01", ".period: period must be a str, not date; write '2026-01-01'"),
        ('timezone = "Berlin"', ".timezone: timezone has no 'Berlin'; did you mean 'Europe/Berlin'?"),
        ('sort_by = "visits:desc"', ": sort_by 'visits' is neither"),
        (
            'filters = [{ property = "path", operator = "is", value = "/" }]',
            ".filters: filters has no 'path'",
        ),
        (
            'filters = [{ property = "pathname", is = "/" }]',
            ".filters: a filter has property, operator and value, not property, is",
        ),
        ('filters = "/"', ".filters: a filter is an object of property, operator and value, not '/'"),
        (
            'matrix = { filters = { property = "pathname", operator = "is", value = "/" } }',
            (
                ".matrix.filters: a table maps labels to filters or lists of filters; write filters = "
                '[{ property = "pathname", operator = "is", value = "/" }]'
            ),
        ),
        ('metrics = ["visits"]', ".metrics: unknown key; did you mean 'aggregates'?"),
        ('group_by = ["browser"]', ".group_by: unknown key; did you mean 'field_grouping'?"),
        ('matrix = { sites = ["A"] }', ".matrix.sites: unknown key; did you mean 'site_id'?"),
        (
            'matrix = { Metrics = ["visits"] }',
            ".matrix.Metrics: unknown key; did you mean 'aggregates'?",
        ),
        ('period = "30 days"', ".period: '30 days' does not say which; write 'last 30 days'"),
        ("complete = 1", ".complete: write true or false, not 1"),
        ("complete = [true]", ".complete: write true or false, not [true]"),
        ("matrix = { limit = { '' = 5 } }", ".matrix.limit: a label is empty"),
        ('name = ["a", "b"]', '.name: must be one template for all queries of the job; write name = "{job}"'),
        ('name = "{job:>9}"', ".name: the placeholder {job} of '{job:>9}' takes no format; write {job}"),
        ('name = "{job!r}"', ".name: the placeholder {job} of '{job!r}' takes no format; write {job}"),
        (
            "complete = true\nlimit = 5",
            ".limit: a complete report has every row; leave out limit or complete",
        ),
        (
            "complete = true\nmatrix = { limit = [5] }",
            ".limit: a complete report has every row; leave out limit or complete",
        ),
        ("matrix = 3", ".matrix: must be a table; write [job.pages.matrix]"),
        ('matrix = { site = ["A"] }', ".matrix.site: unknown key; did you mean 'site_id'?"),
        ('matrix = { site_id = ["A"] }', ".site_id: is in the matrix too; write it in one place"),
        ("matrix = { limit = 5 }", ".matrix.limit: must be a list; write limit = [5]"),
        ("matrix = { limit = [] }", ".matrix.limit: the list is empty"),
        ("matrix = { limit = [5, 0] }", ".matrix.limit: limit must be between 1 and 1000, not 0"),
        ('name = "{site}"', ".name: unknown placeholder {site}; did you mean 'site_id'?"),
        ('name = "{site_id"', ".name: the braces of '{site_id' are not balanced; write e.g. '{site_id}'"),
        ('name = "{period}"', ": the name has {period}, which has no value here; leave it out of the name"),
        ('name = "/"', ": the name '/' has no character that is allowed in a file name; use letters"),
        (f'name = "{"x" * 121}"', ": the name " + "x" * 40 + "… has 121 characters, at most 120"),
        (
            'output = { format = "xlsx" }',
            ".output.format: format has no 'xlsx'; there are: csv, jsonl, parquet",
        ),
        ('output = { dir = "x" }', ".output.dir: unknown key; there are: format, directory, store"),
        ('output = { store = "" }', ".output.store: store is empty; name one, or leave it out"),
        ("output = 1", ".output: must be a table; write [job.pages.output]"),
    ],
)
def test_a_fault_of_a_job_is_told_with_its_key_and_what_to_write(rest: str, fault: str) -> None:
    assert any(found.startswith(f"job.pages{fault}") for found in faults(JOB + rest)), faults(JOB + rest)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("", "job: each job is a named table; write e.g. [job.top-pages]"),
        ("[jobs.a]", "jobs: unknown key; did you mean 'job'?"),
        ("job = 3", "job: each job is a named table; write e.g. [job.top-pages]"),
        (
            JOB.replace("pageviews", "pageview"),
            "job.pages.aggregates: aggregates has no 'pageview'; did you mean 'pageviews'?",
        ),
        (JOB.replace('"CDBUGS"', "5"), "job.pages.site_id: site_id must be a str, not int; write '5'"),
        (
            JOB.replace("site_id", "#"),
            'job.pages.site_id: is missing; write site_id = "CDBUGS", here or as a list in the matrix',
        ),
        ("output = 1\n" + JOB, "output: must be a table; write [output]"),
    ],
)
def test_a_fault_of_a_file_is_told_with_its_key_and_what_to_write(written: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(written)), faults(written)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(JobFileError) as caught:
        load(
            '[output]\nformat = "doc"\n[job.a]\nsite_id = "CDBUGS"\naggregates = ["visit"]\nlimit = 0\n'
            '[job.b]\naggregates = ["visits"]\n[job.b.matrix]\nsite_id = ["A", "B C"]\ndate_grouping = ["dy"]\n'
        )
    assert [fault.place for fault in caught.value.faults] == [
        "output.format",
        "job.a.aggregates",
        "job.a.limit",
        "job.b.matrix.site_id",
        "job.b.matrix.date_grouping",
    ]
    assert str(caught.value).startswith("the file has 5 errors:\n  output.format: format has no 'doc'")


def test_a_fault_of_many_combinations_is_told_once() -> None:
    found = faults(JOB + 'sort_by = "visits:desc"\nmatrix = { limit = [1, 2, 3] }')
    assert len(found) == 1


def test_queries_of_the_same_name_are_refused() -> None:
    same = '[job.x]\nsite_id = "{}"\naggregates = ["visits"]\nname = "{}"\n'
    written = same.format("A", "Top") + same.format("B", "top").replace("job.x", "job.y")
    [fault] = faults(written)
    assert fault.startswith(
        "job.y.name: two queries are named 'top'; put what tells them apart into the name"
    )


def test_too_many_queries_are_refused_before_they_are_made() -> None:
    many = ", ".join(f'"S{number}"' for number in range(1000))
    limits = ", ".join(map(str, range(1, 1001)))
    written = f'[job.all]\naggregates = ["visits"]\nmatrix = {{ site_id = [{many}], limit = [{limits}] }}\n'
    [fault] = faults(written)
    assert fault.startswith(f"job.all.matrix: it makes 1,000,000 queries, but only {MOST_QUERIES:,} are left")


def test_long_lists_of_faults_are_cut_in_the_message_only() -> None:
    with pytest.raises(JobFileError) as caught:
        load("".join(f"[job.j{number}]\n" for number in range(15)))
    assert len(caught.value.faults) == 30
    assert str(caught.value).endswith("\n  and 10 more")


def test_a_job_may_have_parameters_that_this_version_does_not_know() -> None:
    (job,) = load(
        JOB
        + 'sort_by = "bots:desc"\nextra = { aggregates = ["bots"], mode = "exact" }\nmatrix.limit = [5, 6]'
    ).jobs
    assert [query.query.params()["limit"] for query in job.queries] == ["5", "6"]
    for query in job.queries:
        assert query.query.columns == ("pageviews", "bots")
        assert query.query.params()["mode"] == "exact"
        assert query.query.sort_by == "bots:desc"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("extra = 5", "job.pages.extra: extra must be a mapping of parameters to values, not 5"),
        ("extra = { mode = [1] }", "job.pages.extra: extra 'mode' must be"),
        ('extra = { limit = "5" }', "extra has 'limit', which is an argument of its own"),
        ('matrix.extra = [{ mode = "exact" }]', "job.pages.matrix.extra"),
    ],
)
def test_extra_parameters_that_cannot_be_are_told(written: str, words: str) -> None:
    assert words in "\n".join(faults(JOB + written))
