"""What there is to draw of a report, and how a terminal shows it."""

from datetime import date, datetime

from fathom_async import PageviewQuery, Report
from fathom_async._cli.drawing import drawn
from fathom_async._cli.figures import Line, Ranking, TimeSeries, Total, every_date, figures_of

PAGES = [("/", 100, 0.5), ("/a\x1b[2J", 50, None), (None, 0, 0.25)]


def test_groups_are_ranked_and_the_lowest_are_left_out() -> None:
    pageviews, rate = figures_of(
        ("pathname", "pageviews", "bounce_rate"), PAGES, metrics=("pageviews", "bounce_rate"), unit=None
    )
    assert pageviews == Ranking("pageviews", ("/", r"/a\x1b[2J", "(none)"), (100, 50, 0))
    assert isinstance(rate, Ranking)
    assert rate.values == (0.5, 0.25, None)
    many = [(f"/{number}", number) for number in range(25)]
    (ranking,) = figures_of(("pathname", "visits"), many, metrics=("visits",), unit=None)
    assert isinstance(ranking, Ranking)
    assert (ranking.labels[0], len(ranking.labels), ranking.left_out) == ("/24", 20, 5)


def test_a_date_without_traffic_is_zero_but_has_no_average() -> None:
    rows = [(date(2026, 1, 30), 5, 1.5), (date(2026, 2, 1), 7, 2.5)]
    days = (date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1))
    metrics = ("visits", "avg_duration")
    visits, duration = figures_of(("date", *metrics), rows, metrics=metrics, unit="day", dates=days)
    assert visits == TimeSeries("visits", "day", days, (Line("", (5, 0, 7)),))
    assert duration == TimeSeries("avg_duration", "day", days, (Line("", (1.5, None, 2.5)),))


def test_the_dates_are_those_of_the_range_and_of_the_rows() -> None:
    def dates(**query: object) -> list[str]:
        asked = PageviewQuery("A", aggregates=["visits"], date_grouping="day").replace(**query)
        rows = [asked.codec.row(date(2026, 1, 3), *["/"] * len(asked.field_grouping), 1)]
        return [f"{each:%m-%d}" for each in every_date(Report(asked, tuple(rows)), datetime(2026, 1, 5, 12))]  # noqa: DTZ001

    days = ["01-01", "01-02", "01-03", "01-04"]
    assert dates(date_from="2026-01-01", date_to="2026-01-04") == days
    assert dates(date_from="2026-01-01", date_to="2026-12-31") == [*days, "01-05"], "nothing is still to come"
    assert dates() == ["01-03", "01-04", "01-05"]
    cut = {"field_grouping": ["pathname"], "limit": 1, "sort_by": "visits:desc"}
    assert dates(date_from="2026-01-02", date_to="2026-01-04", **cut) == days[1:]
    assert every_date(Report(PageviewQuery("A", aggregates=["visits"]), ()), datetime(2026, 1, 5)) == ()  # noqa: DTZ001


def test_groups_over_time_are_lines_from_the_highest_peak_down() -> None:
    rows = [(date(2026, 1, day), f"b{group}", group * day) for day in (1, 2) for group in range(10)]
    days = (date(2026, 1, 1), date(2026, 1, 2))
    (course,) = figures_of(("date", "browser", "visits"), rows, metrics=("visits",), unit="day", dates=days)
    assert isinstance(course, TimeSeries)
    assert [line.label for line in course.lines] == [f"b{group}" for group in range(9, 1, -1)]
    assert (course.lines[0].values, course.left_out) == ((9, 18), 2)


def test_a_figure_alone_and_nothing_at_all() -> None:
    assert figures_of(("visits",), [(1200,)], metrics=("visits",), unit=None) == [Total("visits", 1200)]
    assert figures_of(("visits",), [], metrics=("visits",), unit=None) == []
    assert drawn(Total("visits", 1200), 80) == ["visits  1,200"]


def test_bars() -> None:
    lines = drawn(Ranking("visits", ("/", "/about"), (1000, 500), left_out=3), 40)
    assert lines == [
        "visits",
        f"  /       1,000  {'█' * 23}",
        f"  /about    500  {'█' * 11}▌",
        "  and 3 groups more",
    ]


def test_long_labels_leave_room_for_the_bars() -> None:
    lines = drawn(Ranking("visits", ("/" * 100,), (5,)), 60)
    assert "…" in lines[1]
    assert all(len(line) <= 60 for line in lines)


def test_columns_with_their_scale_and_dates() -> None:
    days = tuple(date(2026, 1, day) for day in range(1, 11))
    lines = drawn(TimeSeries("visits", "day", days, (Line("", tuple(range(0, 20, 2))),)), 60)
    assert lines[0] == "visits by day"
    assert lines[1].startswith("  18  ")
    assert lines[8].startswith("   0  ")
    assert lines[9].split()[:2] == ["01", "Jan"]


def test_more_dates_than_columns_show_the_highest_of_each_few() -> None:
    days = tuple(date.fromordinal(738_000 + day) for day in range(100))
    lines = drawn(TimeSeries("visits", "day", days, (Line("", (7,) * 100),)), 40)
    assert lines[0] == "visits by day, each column is the highest of 3 days"
    assert lines[1].startswith("  7  ")
    assert all(len(line) <= 40 for line in lines[1:])


def test_several_lines_are_sparklines_with_their_peaks() -> None:
    days = (date(2026, 1, 1), date(2026, 1, 2))
    course = TimeSeries("visits", "day", days, (Line("Chrome", (4, 8)), Line("Edge", (1, None))), left_out=1)
    assert drawn(course, 60) == [
        "visits by day, 01 Jan to 02 Jan",
        "  Chrome  highest 8  ▄█",
        "  Edge    highest 1  █",
        "  and 1 group more",
    ]
