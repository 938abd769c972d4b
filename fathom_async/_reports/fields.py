"""The names of the aggregation report: what can be counted, grouped by, filtered on and sorted by.

Source: "Reports > Aggregation" of the Fathom API reference, and ``entry_page``/``exit_page`` of the live API.
"""

from typing import Final, Literal, get_args

from fathom_async._core.codec.rows import ColumnKind

PageviewAggregate = Literal["visits", "uniques", "pageviews", "avg_duration", "bounce_rate"]
EventAggregate = Literal["conversions", "unique_conversions", "value"]
FieldGrouping = Literal[
    "hostname",
    "pathname",
    "referrer_hostname",
    "referrer_pathname",
    "referrer_source",
    "browser",
    "country_code",
    "city",
    "state",
    "region",
    "device_type",
    "operating_system",
    "utm_campaign",
    "utm_content",
    "utm_medium",
    "utm_source",
    "utm_term",
    "keyword",
    "ref",
    "entry_page",
    "exit_page",
    "ai_source",
]
CountMetric = Literal["visits", "uniques", "pageviews", "conversions", "unique_conversions", "value"]
"""Metrics that are whole numbers."""
RateMetric = Literal["avg_duration", "bounce_rate"]
"""Metrics that are averages."""
DateGrouping = Literal["hour", "day", "month", "year"]
TextProperty = Literal[
    "domain",
    "hostname",
    "pathname",
    "entry_page",
    "exit_page",
    "referrer_hostname",
    "referrer_pathname",
    "referrer_source",
    "ref",
    "utm_campaign",
    "utm_source",
    "utm_medium",
    "utm_content",
    "utm_term",
]
CategoricalProperty = Literal[
    "device_type",
    "operating_system",
    "browser",
    "country_code",
    "city",
    "state",
    "region",
]
FilterProperty = TextProperty | CategoricalProperty
CategoricalOperator = Literal["is", "is not"]
PatternOperator = Literal["is like", "is not like", "matching", "not matching"]
Operator = CategoricalOperator | PatternOperator
# fmt: off
GroupingSort = Literal[
    "hostname:asc", "hostname:desc", "pathname:asc", "pathname:desc",
    "referrer_hostname:asc", "referrer_hostname:desc", "referrer_pathname:asc", "referrer_pathname:desc",
    "referrer_source:asc", "referrer_source:desc", "browser:asc", "browser:desc",
    "country_code:asc", "country_code:desc", "city:asc", "city:desc",
    "state:asc", "state:desc", "region:asc", "region:desc",
    "device_type:asc", "device_type:desc", "operating_system:asc", "operating_system:desc",
    "utm_campaign:asc", "utm_campaign:desc", "utm_content:asc", "utm_content:desc",
    "utm_medium:asc", "utm_medium:desc", "utm_source:asc", "utm_source:desc",
    "utm_term:asc", "utm_term:desc", "keyword:asc", "keyword:desc",
    "ref:asc", "ref:desc", "entry_page:asc", "entry_page:desc",
    "exit_page:asc", "exit_page:desc", "ai_source:asc", "ai_source:desc", "timestamp:asc", "timestamp:desc",
]
PageviewSort = GroupingSort | Literal[
    "visits:asc", "visits:desc", "uniques:asc", "uniques:desc",
    "pageviews:asc", "pageviews:desc", "avg_duration:asc", "avg_duration:desc",
    "bounce_rate:asc", "bounce_rate:desc",
]
EventSort = GroupingSort | Literal[
    "conversions:asc", "conversions:desc", "unique_conversions:asc", "unique_conversions:desc",
    "value:asc", "value:desc",
]
# fmt: on

Entity = Literal["pageview", "event"]
Currency = Literal[
    "dollar",
    "pound",
    "euro",
    "yuan",
    "peso",
    "shekel",
    "yen",
    "won",
    "hryvnia",
    "franc",
    "rupee",
    "integer",
    "none",
]
"""The unit of an event's value; ``integer`` and ``none`` are plain numbers."""

PAGEVIEW_AGGREGATES: Final[tuple[str, ...]] = get_args(PageviewAggregate)
EVENT_AGGREGATES: Final[tuple[str, ...]] = get_args(EventAggregate)
CURRENCIES: Final[tuple[str, ...]] = get_args(Currency)
PLAIN_UNITS: Final = frozenset({"integer", "none"})
FIELD_GROUPINGS: Final[tuple[str, ...]] = get_args(FieldGrouping)
DATE_GROUPINGS: Final[tuple[DateGrouping, ...]] = get_args(DateGrouping)
TEXT_PROPERTIES: Final[tuple[str, ...]] = get_args(TextProperty)
CATEGORICAL_PROPERTIES: Final[tuple[str, ...]] = get_args(CategoricalProperty)
CATEGORICAL_OPERATORS: Final[tuple[str, ...]] = get_args(CategoricalOperator)
PATTERN_OPERATORS: Final[tuple[str, ...]] = get_args(PatternOperator)
OPERATORS: Final[tuple[str, ...]] = CATEGORICAL_OPERATORS + PATTERN_OPERATORS

VALUE: Final = "value"
"""The metric that is in cents where the event's unit is a currency."""
HEADINGS: Final = {VALUE: f"{VALUE} (cents)"}
"""What stands above a column whose name does not tell its unit."""
DATE_COLUMN: Final = "date"
"""The answer's name of the column that sorting calls `TIMESTAMP`."""
TIMESTAMP: Final = "timestamp"

MAX_ROWS: Final = 1000
"""The most rows one answer can have when it is grouped by fields: the highest ``limit`` the server takes."""

RATES: Final[tuple[str, ...]] = get_args(RateMetric)
SHARES: Final = frozenset({"bounce_rate"})
"""Rates that are shares of 1."""
METRIC_KINDS: Final[dict[str, ColumnKind]] = {
    name: "number" if name in RATES else "count" for name in PAGEVIEW_AGGREGATES + EVENT_AGGREGATES
}
"""How each aggregate is decoded. ``value`` is a whole number of cents, so that it is exact."""

ADDITIVE_METRICS: Final = frozenset({"pageviews", "conversions", "value"})
"""Metrics that count occurrences, so that those of several rows add up."""

SYNONYMS: Final = {
    synonym: name
    for name, synonyms in {
        "pathname": "page pages url",
        "operating_system": "os platform",
        "referrer_hostname": "referer",
        "hostname": "host",
        "visits": "sessions users visitors",
        "pageviews": "hits",
        "conversions": "completions",
        "avg_duration": "time",
        "is": "= == equals",
        "is not": "!= <>",
        "is like": "contains like",
        "matching": "~ =~ regex",
        "not matching": "!~",
        "site_id": "site sites",
        "entity_name": "event goal",
        "aggregates": "metric metrics",
        "field_grouping": "by group_by groupby dimensions fields",
        "date_grouping": "per interval granularity",
        "date_from": "start since from_",
        "date_to": "end until to",
        "sort_by": "sort order order_by",
        "filters": "where",
        "timezone": "tz zone",
        "period": "range date_range over",
    }.items()
    for synonym in synonyms.split()
}
"""What other services call things, where the spelling alone suggests nothing, or something else."""
