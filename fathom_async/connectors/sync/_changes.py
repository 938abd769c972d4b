"""The changes of a synchronisation: plain values, without ids.

In all of them, `category`, `event` and `name` are titles: of a site's category, of an event in it, and of a property
of that event. ``str(change)`` is one line of a plan: no two changes of a plan have the same.
"""

import re
from typing import ClassVar

from attrs import field, frozen

from fathom_async._util.text import printable

_AMBIGUOUS = re.compile(r'["\\/\[\]]|: | \(\d+\)$')
_SIGNS = {"create": "+", "delete": "-"}


def titled(*titles: str) -> str:
    """Return a path of titles, such as ``Acme / signup``, with quotes around those that are ambiguous without."""
    return printable(" / ".join(_quoted(each) if _AMBIGUOUS.search(each) else each for each in titles))


def _quoted(title: str) -> str:
    return '"' + title.replace("\\", "\\\\").replace('"', '\\"') + '"'


@frozen
class Change:
    """One change. A `Destination` of your own has subclasses of its own.

    Attributes:
        verb: What it does; ``create`` if making it twice would make two objects.
        noun: What it does that to: one, and several.
    """

    verb: ClassVar[str] = "change"
    noun: ClassVar[tuple[str, str]] = ("object", "objects")

    @property
    def titles(self) -> tuple[str, ...]:
        """The titles of the object and of what it belongs to, from the top."""
        names = ("category", "event", "name", "event_type")
        return tuple(str(getattr(self, name)) for name in names if hasattr(self, name))

    @property
    def said(self) -> str:
        """What follows the titles in the line of a plan."""
        return ""

    def __str__(self) -> str:
        return f"{_SIGNS.get(self.verb, '~')} {titled(*self.titles)}{printable(self.said)}"


@frozen
class CreateCategory(Change):
    """Create the category of a site."""

    verb: ClassVar[str] = "create"
    noun: ClassVar[tuple[str, str]] = ("category", "categories")
    category: str


@frozen
class CreateEvent(Change):
    """Create an event with a description."""

    verb: ClassVar[str] = "create"
    noun: ClassVar[tuple[str, str]] = ("event", "events")
    category: str
    event: str
    description: str


@frozen
class UpdateEvent(Change):
    """Change an event's description."""

    noun: ClassVar[tuple[str, str]] = ("description", "descriptions")
    category: str
    event: str
    description: str

    @property
    def said(self) -> str:
        """The new description."""
        return f": {self.description}"


@frozen
class UpdateProperty(Change):
    """Change the value of an event's property, which is the property's description."""

    noun: ClassVar[tuple[str, str]] = ("property", "properties")
    category: str
    event: str
    name: str
    value: str

    @property
    def said(self) -> str:
        """The value."""
        return f": {self.value}"


@frozen
class CreateProperty(UpdateProperty):
    """Create a property of an event; its value is the property's description."""

    verb: ClassVar[str] = "create"


@frozen
class DeleteEvent(Change):
    """Delete an event that Fathom does not have, with its properties.

    Attributes:
        count: The most entries of that title to delete; archived ones stay.
    """

    verb: ClassVar[str] = "delete"
    noun: ClassVar[tuple[str, str]] = ("event", "events")
    category: str
    event: str
    count: int = field(default=1, eq=False)

    @property
    def said(self) -> str:
        """How many, if there are several."""
        return f" ({self.count})" if self.count > 1 else ""


@frozen
class CreateEventType(Change):
    """Create an event type: its name in events, and its name for people."""

    verb: ClassVar[str] = "create"
    noun: ClassVar[tuple[str, str]] = ("event type", "event types")
    event_type: str
    display_name: str
