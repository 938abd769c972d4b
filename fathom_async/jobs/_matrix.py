"""Matrices: parameters with several values each, all their combinations, and the names of the queries."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import product
from math import prod
from string import Formatter
from typing import Final, cast

import attrs

from fathom_async._reports.filters import Filter
from fathom_async._util.checks import suggestion
from fathom_async.errors import ArgumentError

LONGEST: Final = 120

_UNSAFE: Final = re.compile(r"[^\w.+]+")


def placeholders(template: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the placeholders of a template, such as ``site_id`` in ``pages-{site_id}``."""
    found: list[str] = []
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise ArgumentError(
            f"the braces of {template!r} are not balanced; write e.g. '{{site_id}}'"
        ) from None
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in known:
            raise ArgumentError(f"unknown placeholder {{{name}}}{suggestion(name, known)}")
        if form or conversion:
            raise ArgumentError(
                f"the placeholder {{{name}}} of {template!r} takes no format; write {{{name}}}"
            )
        found.append(name)
    return tuple(found)


def filled(template: str, values: Mapping[str, str]) -> str:
    """Fill a template, and return a name that every file system accepts.

    Keeps letters and digits of all scripts, ``.``, ``_``, ``+`` and ``-``; everything else becomes ``-``.
    """
    for name in placeholders(template, tuple(values)):
        if not values[name]:
            raise ArgumentError(f"the name has {{{name}}}, which has no value here; leave it out of the name")
    name = _UNSAFE.sub("-", template.format(**values)).strip("-.")
    if not name:
        raise ArgumentError(
            f"the name {template!r} has no character that is allowed in a file name; use letters"
        )
    if len(name) > LONGEST:
        raise ArgumentError(
            f"the name {name[:40]}… has {len(name)} characters, at most {LONGEST} are allowed; write a shorter "
            "name, or label the values of the matrix: filters = { blog = [...] }"
        )
    return name


LISTS: Final = frozenset({"aggregates", "field_grouping", "filters"})
"""Parameters of which one value is a list."""

_FILTER: Final = tuple(field.name for field in attrs.fields(Filter))
_NOTHING: Final = "none"
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


@attrs.frozen
class Choice:
    """One value of a parameter, and its label in names."""

    value: object
    label: str


@attrs.frozen
class Axis:
    """The values of one parameter."""

    key: str
    choices: tuple[Choice, ...]


def as_choice(key: str, value: object, label: str | None = None) -> Choice:
    """Return a value as the query takes it; a single name or filter becomes a list of one."""
    if key in LISTS and isinstance(value, str | dict):
        value = [cast("object", value)]
    return Choice(value, described(value) if label is None else label)


def as_axis(key: str, written: object) -> Axis:
    """Return the values of a parameter: a list, or a table of labels, neither of them empty."""
    if isinstance(written, dict):
        labelled = cast("dict[str, object]", written)
        if "" in labelled:
            raise ArgumentError("a label is empty; write the text for the value in names")
        # A table is meant as one filter, rather than as labels of filters, if it has the fields of one.
        if key == "filters" and any(isinstance(labelled.get(name), str) for name in _FILTER):
            raise ArgumentError(
                f"a table maps labels to filters or lists of filters; write filters = [{as_toml(labelled)}]"
            )
        found = tuple(as_choice(key, value, label) for label, value in labelled.items())
    elif isinstance(written, list):
        found = tuple(as_choice(key, value) for value in cast("list[object]", written))
    else:
        raise ArgumentError(f"must be a list; write {key} = [{as_toml(written)}]")
    if not found:
        raise ArgumentError(
            "the list is empty, so the job would have no queries; leave it out, or add values"
        )
    return Axis(key, found)


def size(axes: Sequence[Axis]) -> int:
    return prod(len(each.choices) for each in axes)


def combinations(axes: Sequence[Axis]) -> Iterator[dict[str, Choice]]:
    """Yield every combination of one choice per axis; the last axis changes fastest."""
    keys = [each.key for each in axes]
    for chosen in product(*(each.choices for each in axes)):
        yield dict(zip(keys, chosen, strict=True))


def described(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(map(described, cast("dict[str, object]", value).values()))
    if isinstance(value, list):
        return "+".join(map(described, cast("list[object]", value))) or _NOTHING
    return value.isoformat() if isinstance(value, date) else str(value)


def as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, cast('list[object]', value)))}]"
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return f"{{ {', '.join(f'{_key(key)} = {as_toml(each)}' for key, each in pairs)} }}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else described(value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)
