"""Metrics, fields, figures and dates in the words of people."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from fathom_async._cli.figures import Number, Unit
from fathom_async._cli.money import VALUE
from fathom_async._cli.output import shown
from fathom_async._util.text import cut
from fathom_async.reports import PLAIN_UNITS, RATES, Query, Row

DASH: Final = "\N{EN DASH}"
_METRICS: Final = {
    "uniques": "Unique visitors",
    "avg_duration": "Average visit",
    "bounce_rate": "Bounce rate",
}
_FIELDS: Final = {"pathname": "Page", "country_code": "Country", "ref": "Ref", "ai_source": "AI source"}
_UTM: Final = "utm_"
_MINUTE: Final = 60
_LONG: Final = 10_000
_MIDNIGHT: Final = time()
_SECOND: Final = timedelta(seconds=1)
_LONGEST_FACT: Final = 300


def metric_label(metric: str, currency: str | None = None) -> str:
    if metric == VALUE and currency not in PLAIN_UNITS:
        return f"Value ({currency or 'cents'})"
    return _METRICS.get(metric, _sentence(metric))


def field_label(field: str) -> str:
    is_utm = field.startswith(_UTM)
    return _FIELDS.get(field, f"UTM {field.removeprefix(_UTM)}" if is_utm else _sentence(field))


def figure(metric: str, value: Number) -> str:
    """Return a figure: ``1,234``, ``44 %``, ``2:01 min``."""
    if value is None:
        return DASH
    if metric == "bounce_rate":
        return f"{value * 100:.0f}\N{NO-BREAK SPACE}%"
    if metric == "avg_duration":
        minutes, seconds = divmod(round(value), _MINUTE)
        hours, minutes = divmod(minutes, _MINUTE)
        if hours:
            return f"{hours:,}:{minutes:02}:{seconds:02}\N{NO-BREAK SPACE}h"
        return f"{minutes}:{seconds:02}\N{NO-BREAK SPACE}min"
    return shown(value)


def short(metric: str, value: float) -> str:
    """Return a figure that takes little room: ``12.5k``, ``2:01``, ``44 %``."""
    if metric in RATES:
        return figure(metric, value).removesuffix("\N{NO-BREAK SPACE}min")
    rounded = float(f"{value:.3g}")  # 999,999 is a million, not a thousand thousands
    for size, letter in ((1e12, "tn"), (1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= _LONG and abs(rounded) >= size:
            return f"{rounded / size:,.12g}{letter}"
    return f"{value:,.2f}".removesuffix(".00") if isinstance(value, float) else f"{value:,}"


def day(moment: date, unit: Unit | None = None) -> str:
    """Return ``1 Nov 2026``, ``1 Nov 2026, 15:00``, ``Nov 2026`` or ``2026``."""
    if unit == "year":
        return f"{moment:%Y}"
    if unit == "month":
        return f"{moment:%b %Y}"
    return f"{moment.day} {moment:%b %Y}{f', {moment:%H:%M}' if isinstance(moment, datetime) else ''}"


def tick(moment: date, unit: Unit, *, is_one_day: bool) -> str:
    """Return a date below a chart: ``15:00``, ``1 Nov, 15:00``, ``1 Nov``, ``Nov 2026``."""
    if unit in {"month", "year"}:
        return day(moment, unit)
    hour = f"{moment:%H:%M}" if isinstance(moment, datetime) else ""
    return hour if hour and is_one_day else f"{moment.day} {moment:%b}{hour and f', {hour}'}"


def span(first: datetime | None, last: datetime | None) -> str:
    """Return ``1-30 Nov 2026``, ``30 Oct - 28 Nov 2026`` or ``1-30 Nov 2026, until 17:00``, with dashes."""
    if last is None:
        return "all time" if first is None else f"since {_moment(first)}"
    end = last + _SECOND
    hour = f", until {end:%H:%M}" if end.time() != _MIDNIGHT else ""
    if first is None:
        return f"until {_moment(end) if hour else day(last.date())}"
    if first.time() != _MIDNIGHT:
        is_short = first.date() == last.date() and hour
        return f"{_moment(first)}{'' if is_short else f' {DASH} {day(last.date())}'}{hour}"
    if first.date() == last.date():
        return f"{day(last.date())}{hour}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}{DASH}{day(last.date())}{hour}"
    start = f"{first.day} {first:%b}" if first.year == last.year else day(first.date())
    return f"{start} {DASH} {day(last.date())}{hour}"


def title_of(query: Query[Row]) -> str:
    """Return what a report is about, such as ``Pageviews and visits per day, by page``."""
    event = f"{name}: " if (name := getattr(query, "entity_name", None)) else ""
    per = f" per {query.date_grouping}" if query.date_grouping else ""
    by = (
        f"{',' if per else ''} by {listed(map(field_label, query.field_grouping))}"
        if query.field_grouping
        else ""
    )
    metrics = listed(metric_label(name, "none") for name in query.aggregates)
    return f"{event}{metrics if event else _capital(metrics)}{per}{by}"


def facts_of(query: Query[Row], zone: tzinfo | None) -> list[str]:
    """Return the period, in its time zone if that is known, and the conditions."""
    name = query.timezone or zone
    facts = [f"{_capital(span(query.date_from, query.date_to))}{f', {name}' if name else ''}"]
    if query.filters:
        conditions = (
            f"{inner(field_label(each.property))} {each.operator} {each.value!r}" for each in query.filters
        )
        facts.append(cut(f"Where {' and '.join(conditions)}", _LONGEST_FACT))
    return facts


def listed(labels: Iterable[str]) -> str:
    """Return labels inside of a sentence: ``pageviews, visits and bounce rate``."""
    *most, last = map(inner, labels)
    return f"{', '.join(most)} and {last}" if most else last


def inner(label: str) -> str:
    """Return a label as it is inside of a sentence."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(name: str) -> str:
    return _capital(name.replace("_", " "))


def _moment(moment: datetime) -> str:
    return day(moment if moment.time() != _MIDNIGHT else moment.date())
