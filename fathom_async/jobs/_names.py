"""Names of queries, made from a template; they are file names too."""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Final

from fathom_async._util.checks import suggestion
from fathom_async.errors import ArgumentError

LONGEST: Final = 120

_UNSAFE: Final = re.compile(r"[^\w.+]+")


def placeholders(template: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the placeholders of a template, such as ``site_id`` of ``pages-{site_id}``.

    Raises:
        ArgumentError: The braces are not balanced, or name something else.
    """
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
            raise ArgumentError(f"there is no placeholder {{{name}}} for names{suggestion(name, known)}")
        if form or conversion:
            raise ArgumentError(
                f"the placeholder {{{name}}} of {template!r} takes no format; write {{{name}}}"
            )
        found.append(name)
    return tuple(found)


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return a template with its values, as a name that every file system takes.

    Letters and digits of all scripts, ``.``, ``_``, ``+`` and ``-`` stay; everything else becomes ``-``.

    Raises:
        ArgumentError: A value is missing, or the name is too long or empty.
    """
    for name in placeholders(template, tuple(values)):
        if not values[name]:
            raise ArgumentError(f"the name has {{{name}}}, which is not given here; leave it out of the name")
    name = _UNSAFE.sub("-", template.format(**values)).strip("-.")
    if not name:
        raise ArgumentError(f"nothing of the name {template!r} can stand in a file's name; write letters")
    if len(name) > LONGEST:
        raise ArgumentError(
            f"the name {name[:40]}… has {len(name)} characters, at most {LONGEST} are possible; write a shorter "
            "name, or give the values of the matrix labels: filters = { blog = [...] }"
        )
    return name
