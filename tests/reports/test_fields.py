"""The names are those of the API reference, in every list that repeats them."""

from typing import get_args, get_type_hints

from fathom_async._core.codec.rows import Row
from fathom_async._reports import fields
from fathom_async._reports.filters import CategoricalField, TextField, where


def flat(literal: object) -> list[str]:
    return [name for part in get_args(literal) for name in ([part] if isinstance(part, str) else flat(part))]


def sorts(*names: str) -> set[str]:
    return {f"{name}:{direction}" for name in names for direction in ("asc", "desc")}


def test_there_are_22_groupings() -> None:
    assert len(set(fields.FIELD_GROUPINGS)) == 22
    assert {"entry_page", "exit_page", "keyword"} <= set(fields.FIELD_GROUPINGS)


def test_properties_are_the_groupings_without_keyword_and_ai_source_and_with_domain() -> None:
    properties = {*fields.TEXT_PROPERTIES, *fields.CATEGORICAL_PROPERTIES}

    assert properties ^ set(fields.FIELD_GROUPINGS) == {"keyword", "domain", "ai_source"}
    assert len(fields.TEXT_PROPERTIES) == 14
    assert len(fields.CATEGORICAL_PROPERTIES) == 7


def test_everything_in_a_report_can_be_sorted_by() -> None:
    shared = (*fields.FIELD_GROUPINGS, "timestamp")

    assert set(flat(fields.PageviewSort)) == sorts(*fields.PAGEVIEW_AGGREGATES, *shared)
    assert set(flat(fields.EventSort)) == sorts(*fields.EVENT_AGGREGATES, *shared)


def test_every_aggregate_has_a_kind() -> None:
    assert set(fields.METRIC_KINDS) == {*fields.PAGEVIEW_AGGREGATES, *fields.EVENT_AGGREGATES}


def test_where_has_every_property_with_its_operators() -> None:
    for name in fields.TEXT_PROPERTIES:
        assert type(getattr(where, name)) is TextField
        assert repr(getattr(where, name)) == f"where.{name}"
    for name in fields.CATEGORICAL_PROPERTIES:
        assert type(getattr(where, name)) is CategoricalField
        assert repr(getattr(where, name)) == f"where.{name}"


def test_declared_row_attributes_cost_nothing_at_run_time() -> None:
    assert Row.__struct_fields__ == ()
    assert "pageviews" not in get_type_hints(Row)
