"""Reports as a plain loop over the records, to compare the server and everything above it with."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fathom_async.testing import Dataset, Record

Row = dict[str, Any]

ZONE = "America/New_York"
FORMATS = {"hour": "%Y-%m-%d %H:00:00", "day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def holds(record: Record, condition: dict[str, str]) -> bool:
    name, operator, wanted = condition["property"], condition["operator"], condition["value"]
    text: str = record.hostname.removeprefix("www.") if name == "domain" else getattr(record, name)
    if operator.endswith("matching"):
        found = re.search(wanted, text) is not None
    elif operator.endswith("like"):
        found = (
            re.search(
                wanted.replace(".", r"\.")
                .replace("*", ".*")
                .replace("^", r"\^")
                .replace("$", r"\$")
                .replace("[", r"\["),
                text,
            )
            is not None
        )
    else:
        found = text == wanted
    return found is not operator.startswith(("is not", "not"))


def moment(text: str, fold: int) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE), fold=fold).astimezone(UTC)


def figure(name: str, records: Sequence[Any]) -> object:  # noqa: PLR0911 - one line for each figure
    if name in ("pageviews", "conversions"):
        return str(len(records))
    if name == "visits":
        return str(len({record.session for record in records}))
    if name == "unique_conversions":
        return str(len({record.visitor for record in records}))
    if name == "uniques":
        return str(len({(record.session, record.hostname, record.pathname) for record in records}))
    if name == "bounce_rate":
        bounced = {record.session for record in records if record.bounced}
        return round(len(bounced) / len({record.session for record in records}), 4)
    if name == "value":
        values = [record.value for record in records if record.value is not None]
        return str(sum(values)) if values else None
    known = [record.duration for record in records if record.duration is not None]
    return f"{sum(known) / len(known):.4f}" if known else None


def evaluate(data: Dataset, query: dict[str, str]) -> list[Row]:
    """The same report in a plain loop."""
    records: list[Record] = [*data.pageviews]
    if query["entity"] == "event":
        records = [done for done in data.completions if done.event == query["entity_name"]]
    conditions = json.loads(query.get("filters", "[]"))
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        if "date_from" in query and record.at < moment(query["date_from"], fold=0):
            continue
        if record.at > moment(query["date_to"], fold=1) or not all(
            holds(record, item) for item in conditions
        ):
            continue
        local = record.at.astimezone(ZoneInfo(ZONE))
        bucket = [local.strftime(FORMATS[query["date_grouping"]])] if "date_grouping" in query else []
        fields = [getattr(record, name) for name in query.get("field_grouping", "").split(",") if name]
        groups.setdefault((*bucket, *fields), []).append(record)
    names = [
        *(["date"] if "date_grouping" in query else []),
        *filter(None, query.get("field_grouping", "").split(",")),
    ]
    return [
        {
            **dict(zip(names, key, strict=True)),
            **{name: figure(name, rows) for name in query["aggregates"].split(",")},
        }
        for key, rows in groups.items()
    ]
