"""What the reports told, as far as the summary shows it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from attrs import define, field, frozen


@frozen
class Totals:
    """One site over all days; None where the server has no figure."""

    visits: int | None
    pageviews: int | None
    bounce_rate: float | None
    avg_duration: float | None


@define
class Findings:
    """Figures by the site's name.

    Attributes:
        totals: The overview.
        traffic: Pageviews by day or hour, in the calendar's order.
        pages: Pageviews by path, the most first.
        visitors: How many visitors there are at present.
        shares: Pageviews by kind of report and value, such as a browser, summed up over the sites.
    """

    totals: dict[str, Totals] = field(factory=dict[str, Totals])
    traffic: dict[str, Mapping[date, int]] = field(factory=dict[str, Mapping[date, int]])
    pages: dict[str, Sequence[tuple[str, int]]] = field(factory=dict[str, Sequence[tuple[str, int]]])
    visitors: dict[str, int] = field(factory=dict[str, int])
    shares: defaultdict[str, Counter[str]] = field(factory=lambda: defaultdict(Counter[str]))
