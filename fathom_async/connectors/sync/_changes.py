"""The changes of a synchronisation: plain values, without ids.

In all of them, `category`, `event` and `name` are titles: of a site's category, of an event in it, and of a property
of that event. ``str(change)`` is one line of a plan.
"""

from attrs import field, frozen

from fathom_async._util.text import printable


@frozen
class CreateCategory:
    """Create the category of a site."""

    category: str

    def __str__(self) -> str:
        return printable(f"+ {self.category}")


@frozen
class CreateEvent:
    """Create an event with a description."""

    category: str
    event: str
    description: str

    def __str__(self) -> str:
        return printable(f"+ {self.category} / {self.event}: {self.description}")


@frozen
class UpdateEvent:
    """Change an event's description."""

    category: str
    event: str
    description: str

    def __str__(self) -> str:
        return printable(f"~ {self.category} / {self.event}: {self.description}")


@frozen
class CreateProperty:
    """Create a property of an event; its value is the property's description."""

    category: str
    event: str
    name: str
    value: str

    def __str__(self) -> str:
        return printable(f"+ {self.category} / {self.event} / {self.name}: {self.value}")


@frozen
class UpdateProperty:
    """Change the value of an event's property, which is the property's description."""

    category: str
    event: str
    name: str
    value: str

    def __str__(self) -> str:
        return printable(f"~ {self.category} / {self.event} / {self.name}: {self.value}")


@frozen
class DeleteEvent:
    """Delete an event that Fathom does not have, with its properties.

    Attributes:
        count: The most entries of that title to delete; archived ones stay.
    """

    category: str
    event: str
    count: int = field(default=1, eq=False)

    def __str__(self) -> str:
        often = f" ({self.count})" if self.count > 1 else ""
        return printable(f"- {self.category} / {self.event}{often}")


@frozen
class CreateEventType:
    """Create an event type: its name in events, and its name for people."""

    event_type: str
    display_name: str

    def __str__(self) -> str:
        return printable(f"+ {self.event_type}")


Change = (
    CreateCategory
    | CreateEvent
    | UpdateEvent
    | CreateProperty
    | UpdateProperty
    | DeleteEvent
    | CreateEventType
)
