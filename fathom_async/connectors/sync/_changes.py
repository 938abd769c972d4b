"""What a synchronisation may change: plain values, which name things and know no ids."""

from attrs import field, frozen

from fathom_async._util.text import printable


@frozen
class CreateCategory:
    """Create the category of a site.

    Attributes:
        category: Its title.
    """

    category: str

    def __str__(self) -> str:
        return printable(f"+ {self.category}")


@frozen
class CreateEvent:
    """Create an event.

    Attributes:
        category: Title of its category.
        event: Its title.
        description: What it is.
    """

    category: str
    event: str
    description: str

    def __str__(self) -> str:
        return printable(f"+ {self.category} / {self.event}: {self.description}")


@frozen
class UpdateEvent:
    """Change an event's description.

    Attributes:
        category: Title of its category.
        event: Its title.
        description: The new one.
    """

    category: str
    event: str
    description: str

    def __str__(self) -> str:
        return printable(f"~ {self.category} / {self.event}: {self.description}")


@frozen
class CreateProperty:
    """Create a property of an event.

    Attributes:
        category: Title of the event's category.
        event: Title of the event.
        name: Title of the property.
        value: Its description.
    """

    category: str
    event: str
    name: str
    value: str

    def __str__(self) -> str:
        return printable(f"+ {self.category} / {self.event} / {self.name}: {self.value}")


@frozen
class UpdateProperty:
    """Change the value of an event's property.

    Attributes:
        category: Title of the event's category.
        event: Title of the event.
        name: Title of the property.
        value: Its new description.
    """

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
        category: Title of its category.
        event: Its title.
        count: How many of that title there are; archived ones are left. No more than that are deleted.
    """

    category: str
    event: str
    count: int = field(default=1, eq=False)

    def __str__(self) -> str:
        often = f" ({self.count})" if self.count > 1 else ""
        return printable(f"- {self.category} / {self.event}{often}")


@frozen
class CreateEventType:
    """Create a type of events.

    Attributes:
        event_type: What it is known by.
        display_name: What people see.
    """

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
