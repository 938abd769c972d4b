"""The page of a report: figures, charts, rankings and rows.

1. A **figure** at the top is a total that the API answered, or that is exact otherwise; there is none of visitors of
   several rows.
2. Groups are **ranked** by the first count of the report, never by an average, and what a ranking leaves out is in a
   row of its own, with the counts that add up.
3. A **chart** covers the whole range that was asked. Its last bar is marked if its date is not over. Groups over
   time are small charts of one scale.
4. The page is small: it shows `MOST_ROWS` rows and says how many there are, and long lines are drawn by the highest
   of their neighbours.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from attrs import frozen

from fathom_async import Change, Comparison, QueryError, Report, __version__
from fathom_async._cli.drawing import bundle, highest
from fathom_async._cli.figures import LINES, NAMELESS, RANKED, Number, Unit, every_date
from fathom_async._cli.html import words
from fathom_async._cli.money import VALUE
from fathom_async._util.text import counted, cut, printable
from fathom_async.integrations.charts import Scale, bars, column_chart, line_chart, meter
from fathom_async.reports import ADDITIVE_METRICS, PLAIN_UNITS, RATES, CalendarUnit, Query, Row

MOST_ROWS: Final = 100
_MOST_BARS: Final = 92
_MOST_POINTS: Final = 500
_MOST_SMALL: Final = 120
_LABELLED: Final = 12
_NARROW: Final = 6
_LONGEST: Final = 160
_HUNDRED: Final = 100

Group = tuple[str | None, ...]


@frozen
class HtmlPage:
    """The page of a report, with the totals of its range and of a former one in `comparison`.

    `now` is the present on the site's clock, and `rest` the name of a file with every row.
    """

    report: Report[Row]
    site: str
    now: datetime
    comparison: Comparison[Row] | None = None
    currency: str | None = None
    rest: str | None = None

    def html(self) -> str:
        facts = words.facts_of(self._query, self.now.tzinfo)
        if self.report.rows and self._end:
            facts.append(f"Incomplete: {words.day(self._dates[-1], self._query.date_grouping)}, {self._end}")
        return Template(files("fathom_async._cli.html").joinpath("page.html").read_text("utf-8")).substitute(
            site=_text(self.site),
            title=_text(words.title_of(self._query)),
            facts="\n".join(f"<p>{_text(fact)}</p>" for fact in facts),
            sections="\n".join(self._sections()),
            made=words.day(self.now),
            version=__version__,
        )

    @property
    def _query(self) -> Query[Row]:
        return self.report.query

    def _sections(self) -> Iterator[str]:
        yield from self._totals()
        unit, rows = self._query.date_grouping, self.report.rows
        if not rows:
            yield '<section><p class="empty">Nothing was counted in this period.</p></section>'
        elif unit is not None:
            for metric in self._metrics:
                yield self._over_time(metric, unit)
            is_as_asked = self._fields or self.report.truncated
            yield self._rows(rows if is_as_asked else self.report.filled(now=self.now).rows)
        elif self._fields:
            yield self._ranking()
            if len(rows) > RANKED or self._ranked != list(rows):
                yield self._rows(rows)

    @cached_property
    def _fields(self) -> list[str]:
        return [column.name for column in self._query.codec.columns if column.kind == "text"]

    @cached_property
    def _metrics(self) -> list[str]:
        return [column.name for column in self._query.codec.columns if column.kind in {"count", "number"}]

    def _group(self, row: Row) -> Group:
        return tuple(getattr(row, name) for name in self._fields)

    def _metric(self, name: str) -> str:
        return escape(words.metric_label(name, self.currency))

    def _amount(self, metric: str, value: Number) -> Number:
        """Return a figure in its unit: the API counts money in cents."""
        is_money = metric == VALUE and self.currency is not None and self.currency not in PLAIN_UNITS
        return value / _HUNDRED if is_money and value is not None else value

    def _figure(self, metric: str, value: Number) -> str:
        return words.figure(metric, self._amount(metric, value))

    # Figures (rule 1)

    def _totals(self) -> Iterator[str]:
        found = [self._total(metric) for metric in self._query.aggregates]
        if not any(found):
            return
        before = ""
        if self.comparison is not None:
            former = self.comparison.previous.query
            before = f"<p>Compared with {words.span(former.date_from, former.date_to)}</p>"
        yield f'<section aria-label="Totals"><dl class="totals">{"".join(found)}</dl>{before}</section>'

    def _total(self, metric: str) -> str:
        told = ""
        try:
            if self.comparison is None:
                value = self.report.total(metric)
            else:
                change = self.comparison.change(metric)
                value, told = change.current, _told(metric, change)
                if change.previous is not None:
                    told += f'<dd class="before">{self._figure(metric, change.previous)} before</dd>'
        except QueryError:
            return ""
        figure = self._figure(metric, value)
        return f'<div><dt>{self._metric(metric)}</dt><dd class="value">{figure}</dd>{told}</div>'

    # Rankings (rule 2)

    @cached_property
    def _volume(self) -> str | None:
        """The metric that groups are ranked by."""
        return next((name for name in self._metrics if name not in RATES), None)

    def _size(self, row: Row) -> float:
        size: Number = getattr(row, self._volume) if self._volume else None
        return size or 0

    @cached_property
    def _ranked(self) -> list[Row]:
        return sorted(self.report.rows, key=self._size, reverse=True)

    def _ranking(self) -> str:
        shown = self._ranked[:RANKED]
        highest = max(map(self._size, shown)) or 1
        rows = [
            f'<tr><th scope="row">{meter(self._size(row) / highest)}<span>{_label(self._group(row))}</span></th>'
            f"{self._cells(row)}</tr>"
            for row in shown
        ]
        fields = [*map(words.field_label, self._fields)]
        what = words.metric_label(self._volume, "none") if self._volume else "Groups"
        title = _text(f"{what} by {words.listed(fields)}")
        head = self._head([" · ".join(fields)])
        return _section(title, _table(title, "", head, [*rows, *self._other(shown)], kind="ranking"))

    def _other(self, shown: Sequence[Row]) -> Iterator[str]:
        left_out = len(self.report) - len(shown)
        sums = {name: self._left(name, shown) for name in self._metrics}
        if left_out or (self.report.truncated and any(sums.values())):
            number = "" if self.report.truncated else f" ({left_out:,})"
            cells = "".join(f"<td>{self._figure(name, value)}</td>" for name, value in sums.items())
            yield f'<tr class="other"><th scope="row"><span>Other{number}</span></th>{cells}</tr>'

    def _left(self, metric: str, shown: Sequence[Row]) -> Number:
        """Return what the rows that are shown lack of the total, if the metric adds up and the total is known."""
        if metric not in ADDITIVE_METRICS:
            return None
        is_told = self.report.truncated and self.comparison is not None
        try:
            total = (
                self.comparison.current.total(metric)
                if is_told and self.comparison
                else self.report.total(metric)
            )
        except QueryError:
            return None
        return max(0, (total or 0) - sum(getattr(row, metric) or 0 for row in shown))

    # Charts (rule 3)

    @cached_property
    def _dates(self) -> Sequence[date]:
        return every_date(self.report, self.now)

    @cached_property
    def _lines(self) -> Mapping[Group, Mapping[date, Row]]:
        found: dict[Group, dict[date, Row]] = {}
        for row in self.report:
            found.setdefault(self._group(row), {})[_date(row)] = row
        return found

    @cached_property
    def _largest(self) -> list[Group]:
        return sorted(self._lines, key=self._weight, reverse=True)[:LINES]

    def _weight(self, group: Group) -> float:
        """Return how large a group is: visitors of several dates do not add up, so that the highest date counts."""
        sizes = [*map(self._size, self._lines[group].values())]
        return sum(sizes) if self._volume in ADDITIVE_METRICS else max(sizes)

    def _values(self, metric: str, group: Group) -> list[Number]:
        rows, nothing = self._lines[group], None if metric in RATES or self.report.truncated else 0
        return [
            self._amount(metric, getattr(rows[each], metric)) if each in rows else nothing
            for each in self._dates
        ]

    def _over_time(self, metric: str, unit: Unit) -> str:
        title = f"{words.metric_label(metric, self.currency)} per {unit}"
        found = {group: self._values(metric, group) for group in self._largest}
        every = [value for values in found.values() for value in values]
        if all(value is None for value in every):
            return _section(_text(title), '<p class="empty">No value in this period.</p>')
        if not self._fields:
            return _section(_text(title), self._chart(metric, unit, every, title))
        scale, left_out = Scale.of(every), len(self._lines) - len(found)
        small = "".join(
            f"<figure><figcaption>{_label(group)}</figcaption>"
            f"{self._chart(metric, unit, values, f'{title}, {_named(group)}', scale)}</figure>"
            for group, values in found.items()
        )
        more = f"<p>The {LINES} largest of {counted(len(self._lines), 'group')}.</p>" if left_out else ""
        return _section(_text(title), f'{more}<div class="small">{small}</div>')

    def _chart(
        self, metric: str, unit: Unit, values: Sequence[Number], title: str, scale: Scale | None = None
    ) -> str:
        """Return a chart with its axes; a small one of many if they share a `scale`."""
        most, is_small = (_MOST_POINTS, False) if scale is None else (_MOST_SMALL, True)
        together = bundle(len(values), most)
        dates, values = self._dates[::together], highest(values, together)
        scale = scale or Scale.of(values)
        title = f"{title}, {words.span(self._query.date_from, self._query.date_to)}"
        tips = [
            f"{words.day(each, unit)}: {words.figure(metric, value)}"
            for each, value in zip(dates, values, strict=True)
        ]
        peak = max(range(len(values)), key=lambda place: (values[place] is not None, values[place] or 0))
        told = f"The highest is {tips[peak]}. The figures are in the table."
        if is_small or len(values) > _MOST_BARS:
            drawn = line_chart(values, scale, title=title, description=told, is_running=bool(self._end))
        else:
            drawn = column_chart(
                values, scale, title=title, description=told, tips=tips, is_running=bool(self._end)
            )
        if len(values) <= _LABELLED and not is_small:
            drawn += _above(metric, values, scale)
        note = f"<p>Each point is the highest of {counted(together, unit)}.</p>" if together > 1 else ""
        ticks = "".join(f"<span>{words.short(metric, tick)}</span>" for tick in scale.ticks)
        return (
            f'<div class="plot"><div class="scale" aria-hidden="true">{ticks}</div><div class="canvas">{drawn}</div>'
            f'</div><div class="marks" aria-hidden="true">{_marks(dates, unit, is_small=is_small)}</div>'
            f"{note}"
        )

    @cached_property
    def _end(self) -> str:
        """Up to when the last date of the charts counts, if it is not whole; otherwise empty."""
        unit = self._query.date_grouping
        if unit is None:
            return ""
        calendar, now = CalendarUnit(unit), self.now.replace(tzinfo=None)
        until = min(self._query.date_to or now, now)
        if until >= calendar.end(calendar.index(self._dates[-1])):
            return ""
        return (
            f"until {until + timedelta(seconds=1):%H:%M}"
            if unit in {"hour", "day"}
            else f"until {words.day(until.date())}"
        )

    # Rows (rule 4)

    def _rows(self, rows: Sequence[Row]) -> str:
        unit, title = self._query.date_grouping, "All figures"
        lines: list[str] = []
        for row in rows[:MOST_ROWS]:
            moment = f'<th scope="row">{words.day(_date(row), unit)}</th>' if unit else ""
            texts = "".join(f'<td class="text">{_label((name,))}</td>' for name in self._group(row))
            lines.append(f"<tr>{moment}{texts}{self._cells(row)}</tr>")
        heads = [*([unit.capitalize()] if unit else []), *map(words.field_label, self._fields)]
        return _section(title, _table(title, self._length(len(rows)), self._head(heads), lines))

    def _length(self, rows: int) -> str:
        told = counted(rows, "row")
        if rows > MOST_ROWS:
            rest = f"the rest is in {self.rest}" if self.rest else "--output report.csv writes all of them"
            told = f"The first {MOST_ROWS} of {told}; {rest}"
        if self.report.truncated:
            told += f"; the report stops at {rows:,}, so there may be more"
        return _text(told)

    def _head(self, names: Sequence[str]) -> str:
        texts = "".join(f'<th scope="col">{_text(name)}</th>' for name in names)
        numbers = "".join(
            f'<th scope="col" class="number">{self._metric(name)}</th>' for name in self._metrics
        )
        return f"<thead><tr>{texts}{numbers}</tr></thead>"

    def _cells(self, row: Row) -> str:
        return "".join(f"<td>{self._figure(name, getattr(row, name))}</td>" for name in self._metrics)


def _told(metric: str, change: Change) -> str:
    """Return how a figure has changed; more of an average is neither better nor worse."""
    if change.absolute is None:
        return ""
    if change.is_share:
        amount: float = round(change.absolute * _HUNDRED, 1)
        size = f"{abs(amount):,g} points"
    elif change.relative is None:
        amount, size = change.absolute, "from 0" if change.absolute else "0\N{NO-BREAK SPACE}%"
    else:
        amount = round(change.relative * _HUNDRED)
        size = f"{abs(amount):,}\N{NO-BREAK SPACE}%"
    mark, said, tone = (
        ("▲", "up", "up") if amount > 0 else ("▼", "down", "down") if amount else ("=", "", "same")
    )
    return (
        f'<dd class="change {"same" if metric in RATES else tone}"><span aria-hidden="true">{mark}</span>'
        f'<span class="hidden">{said}</span> {size}</dd> '
    )


def _marks(dates: Sequence[date], unit: Unit, *, is_small: bool) -> str:
    """Return labels below a chart, of each of few bars, otherwise of five; a phone has no room for the wide ones."""
    count = len(dates)
    is_each = count == 1 or (count <= _LABELLED and not is_small)
    last = count - 1 if is_each else 1 if is_small else 4
    is_one_day = len({each.toordinal() for each in dates}) == 1

    def mark(number: int) -> str:
        place = round(number * (count - 1) / max(last, 1))
        is_wide = number % ((3 if count > _NARROW else 1) if is_each else 2)
        kind = {0: "first", last: "last"}.get(number if not is_each else -1, "wide" if is_wide else "mark")
        label = words.tick(dates[place], unit, is_one_day=is_one_day)
        return f'<span class="{kind}" style="left:{_HUNDRED * (place + 0.5) / count:.2f}%">{label}</span>'

    return "".join(map(mark, range(last + 1)))


def _above(metric: str, values: Sequence[Number], scale: Scale) -> str:
    """Return the values of a few bars, as text above them."""
    texts = (
        f'<span style="left:{bar.x + bar.width / 2:.2f}%;top:{bar.y:g}%">{words.short(metric, value)}</span>'
        for bar, value in zip(bars(values, scale), values, strict=True)
        if bar is not None and value is not None
    )
    return f'<div class="values{" wide" if len(values) > _NARROW else ""}" aria-hidden="true">{"".join(texts)}</div>'


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _table(name: str, caption: str, head: str, rows: Sequence[str], *, kind: str = "figures") -> str:
    body, told = "\n".join(rows), f"<caption>{caption}</caption>" if caption else ""
    return (
        f'<div class="rows" role="region" aria-label="{name}" tabindex="0"><table class="{kind}">{told}{head}'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _label(group: Group) -> str:
    return escape(_named(group))


def _named(group: Group) -> str:
    return " · ".join(cut(printable(part), _LONGEST) if part else NAMELESS for part in group)


def _text(text: str) -> str:
    return escape(printable(text))


def _date(row: Row) -> date:
    found: date = getattr(row, "date")  # noqa: B009 - only some rows have one
    return found
