"""Filters of Secoda's catalogue, as plain JSON objects."""

from collections.abc import Mapping

from fathom_async._core.codec.objects import encode
from fathom_async.connectors import _field_checks as field_checks

Filter = Mapping[str, object]
"""Such as ``{"operator": "exact", "field": "type", "value": "event"}``; ``and`` and ``or`` have `operands`."""


def exact(field: str, value: str) -> Filter:
    """Return the filter that lets a field's exact value through."""
    return {"operator": "exact", "field": field, "value": value}


def every(**values: str) -> Filter:
    """Return the filter that lets through what has all of these exact values."""
    operands = [exact(field, value) for field, value in values.items()]
    return operands[0] if len(operands) == 1 else {"operator": "and", "operands": operands}


def to_param(name: str, value: Filter) -> str:
    """Return a filter or an order as the query parameter has it.

    Raises:
        ArgumentError: It is no JSON object.
    """
    return encode(field_checks.json_object(name, value)).decode()
