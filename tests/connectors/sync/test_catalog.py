"""The difference between the wanted and the present catalog, as plain values."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from fathom_async import ArgumentError
from fathom_async.connectors.secoda import Resource
from fathom_async.connectors.sync import (
    CreateCategory,
    CreateEvent,
    CreateProperty,
    DeleteEvent,
    UpdateEvent,
    UpdateProperty,
)
from fathom_async.connectors.sync._catalog import (
    Catalog,
    Documented,
    by_path,
    catalog_changes,
    document,
    known_currency,
    usual_description,
)
from fathom_async.connectors.sync._names import category_titles, key
from fathom_async.connectors.sync._source import AccountEvents, SiteEvents
from fathom_async.models import Event, Site

if TYPE_CHECKING:
    from fathom_async.connectors.sync._catalog import (
        Currency,
        Describe,
    )

ACME = Site("ACME", "Acme", "none", datetime(2026, 1, 1, tzinfo=UTC))
SIGNUP = Documented("Acme", "signup", "Somebody signed up.", "euro")
WANTED = Catalog(("Acme",), (SIGNUP,))

CATEGORY = Resource("c", "Acme")
EVENT = Resource("e", "signup", "Somebody signed up.", parent="c")
CURRENCY = Resource("p", "currency", "euro", parent="e")


def present(*changed: Resource) -> Mapping[tuple[str, ...], Sequence[Resource]]:
    """A catalog that has everything, with these things instead of those of the same id."""
    things = {thing.id: thing for thing in (CATEGORY, EVENT, CURRENCY, *changed)}
    levels: list[list[Resource]] = [[], [], []]
    for name, thing in things.items():
        levels["cep".index(name[0])].append(thing)
    return by_path(*levels)


def test_nothing_there_means_everything_from_the_top_down() -> None:
    changes, notes = catalog_changes(WANTED, {})
    assert changes == (
        CreateCategory("Acme"),
        CreateEvent("Acme", "signup", "Somebody signed up."),
        CreateProperty("Acme", "signup", "currency", "euro"),
    )
    assert notes == ()


def test_everything_there_means_nothing_to_do() -> None:
    assert catalog_changes(WANTED, present()) == ((), ())


def test_a_description_by_a_person_is_kept_and_an_empty_one_is_filled() -> None:
    theirs, empty = evolve(EVENT, description="Written by hand."), evolve(EVENT, description=" ")
    update = UpdateEvent("Acme", "signup", "Somebody signed up.")
    assert catalog_changes(WANTED, present(theirs))[0] == ()
    assert catalog_changes(WANTED, present(empty))[0] == (update,)
    assert catalog_changes(evolve(WANTED, overwrites=True), present(theirs))[0] == (update,)


def test_a_currency_by_a_person_is_kept_and_an_empty_one_is_filled() -> None:
    dollars, empty = evolve(CURRENCY, description="dollar"), evolve(CURRENCY, description=" ")
    update = UpdateProperty("Acme", "signup", "currency", "euro")
    assert catalog_changes(WANTED, present(dollars)) == ((), ())
    assert catalog_changes(WANTED, present(empty))[0] == (update,)
    assert catalog_changes(evolve(WANTED, overwrites=True), present(dollars))[0] == (update,)
    unknown = evolve(WANTED, events=(evolve(SIGNUP, currency=None),), overwrites=True)
    assert catalog_changes(unknown, present(dollars))[0] == ()


def test_a_currency_is_the_same_in_capitals_and_gets_no_twin() -> None:
    theirs = evolve(CURRENCY, title="Currency ", description="USD")
    assert catalog_changes(WANTED, present(theirs)) == ((), ())


def test_others_are_deleted_only_when_asked_and_only_in_categories_of_ours() -> None:
    there = present(
        Resource("e2", "old", parent="c"), Resource("c2", "Theirs"), Resource("e3", "x", parent="c2")
    )
    assert catalog_changes(WANTED, there)[0] == ()
    assert catalog_changes(evolve(WANTED, removes=True), there)[0] == (DeleteEvent("Acme", "old"),)


def test_archived_things_are_left_alone_and_named() -> None:
    wanted = evolve(WANTED, removes=True)
    gone = evolve(EVENT, archived=True, description=None)
    assert catalog_changes(wanted, present(gone)) == ((), ("Acme / signup: archived, left alone",))
    closed = evolve(CATEGORY, archived=True)
    assert catalog_changes(wanted, present(closed)) == ((), ("Acme: archived, left alone",))
    again = Resource("e2", "signup", parent="c")
    assert catalog_changes(wanted, present(gone, again))[0][0] == UpdateEvent(
        "Acme", "signup", "Somebody signed up."
    )


def test_of_several_things_of_one_name_only_those_that_are_not_archived_are_deleted() -> None:
    wanted = evolve(WANTED, removes=True)
    kept = Resource("e2", "old", parent="c", archived=True)
    changes, notes = catalog_changes(
        wanted, present(kept, *(Resource(f"e{n}", "old", parent="c") for n in (3, 4)))
    )
    assert [str(change) for change in changes] == ["- Acme / old (2)"]
    assert notes == ()
    assert catalog_changes(wanted, present(kept)) == ((), ())


def test_what_is_below_something_archived_is_not_there() -> None:
    twin = Resource("c2", "Acme", archived=True)
    below = evolve(EVENT, parent="c2")
    assert catalog_changes(WANTED, present(twin, below))[0] == (
        CreateEvent("Acme", "signup", "Somebody signed up."),
        CreateProperty("Acme", "signup", "currency", "euro"),
    )
    old = evolve(EVENT, id="e2", archived=True)
    assert catalog_changes(WANTED, present(old, evolve(CURRENCY, parent="e2")))[0] == (
        CreateProperty("Acme", "signup", "currency", "euro"),
    )


def test_ids_match_with_and_without_dashes_and_orphans_are_nobodys() -> None:
    category = Resource("3B2C7185-fb5d-4d94-89d4-3dae08e093a9", "Acme")
    event = Resource("e", "signup", parent="3b2c7185fb5d4d9489d43dae08e093a9")
    orphan = Resource("e2", "lost", parent="nowhere")
    assert set(by_path([category], [event, orphan], [])) == {("Acme",), ("Acme", "signup")}


def test_one_letter_typed_in_two_ways_is_one_letter() -> None:
    assert key("cafe\u0301 ") == key("caf\u00e9")
    assert key("Signup") != key("signup")


def test_sites_of_one_name_are_told_apart_by_their_ids() -> None:
    sites = [ACME, evolve(ACME, id="OTHER"), evolve(ACME, id="BLANK", name=" ")]
    assert category_titles(sites) == {"ACME": "Acme (ACME)", "OTHER": "Acme (OTHER)", "BLANK": "BLANK"}
    tricky = evolve(ACME, id="X", name="Acme (OTHER)")
    assert category_titles([*sites, tricky])["X"] == "Acme (OTHER) (X)"


def named_as(sites: list[Site]) -> Catalog:
    """The wanted entries of the first site, which has one event, among others."""
    titles = category_titles(sites)
    title = titles["ACME"]
    return Catalog((title,), (evolve(SIGNUP, category=title),), titles=frozenset(titles.values()))


def test_a_renamed_site_gets_a_new_category_and_the_old_one_is_told_of() -> None:
    renamed = named_as([evolve(ACME, name="Acme Inc")])
    changes, notes = catalog_changes(renamed, present())
    assert changes[0] == CreateCategory("Acme Inc")
    assert notes == ("Acme: no site has this name, left alone; was a site renamed?",)
    shared = named_as([ACME, evolve(ACME, id="OTHER")])
    assert catalog_changes(shared, present())[1] == notes
    of_another = present(Resource("c1", "Acme (OTHER)"))
    assert catalog_changes(shared, of_another)[1] == notes
    many = [Resource(f"c{n}", f"Theirs {n}") for n in range(4)]
    assert catalog_changes(renamed, present(*many))[1] == (
        "Acme, Theirs 0, Theirs 1 and 2 more: no site has this name, left alone; was a site renamed?",
    )


@example({"A": "x", "C": "x", "B": "x (A)", "D": "x (A) (B)"})
@given(st.dictionaries(st.sampled_from("ABCDE"), st.sampled_from(["x", "x (A)", "x (A) (B)", "A", " "])))
def test_no_two_categories_have_the_same_title(names: dict[str, str]) -> None:
    titles = category_titles(evolve(ACME, id=site, name=name) for site, name in names.items())
    assert len(set(titles.values())) == len(names)


def test_what_fathom_knows_becomes_what_should_be_there() -> None:
    counted = SiteEvents(
        ACME, "Acme", (Event("signup", currency="euro"), Event("купить 🛒")), notes=("2 left out",)
    )
    made = document(
        AccountEvents((counted,), {"ACME": "Acme"}),
        describe=usual_description,
        currency=known_currency,
        overwrites=False,
        removes=False,
    )
    assert made == Catalog(
        ("Acme",),
        (
            Documented("Acme", "signup", "Event of Acme (ACME), counted by Fathom Analytics.", "euro"),
            Documented("Acme", "купить 🛒", "Event of Acme (ACME), counted by Fathom Analytics.", None),
        ),
        ("2 left out",),
        titles=frozenset({"Acme"}),
    )


def untyped(result: object) -> Callable[..., object]:
    return lambda *_: result


def test_what_callers_say_is_stripped_and_has_to_be_text() -> None:
    counted = AccountEvents((SiteEvents(ACME, "Acme", (Event("signup"),)),), {})
    made = document(
        counted,
        describe=lambda _site, _event: " said ",
        currency=lambda _site, _event: " usd ",
        overwrites=False,
        removes=False,
    )
    assert made.events == (Documented("Acme", "signup", "said", "usd"),)
    blank = document(
        counted,
        describe=lambda _site, _event: "",
        currency=lambda _site, _event: " ",
        overwrites=False,
        removes=False,
    )
    assert blank.events == (Documented("Acme", "signup", "", None),)
    nothing, five = cast("Describe", untyped(None)), cast("Currency", untyped(5))
    with pytest.raises(ArgumentError, match="describe must return a string, not None"):
        document(counted, describe=nothing, currency=known_currency, overwrites=False, removes=False)
    with pytest.raises(ArgumentError, match="currency must return a string, not 5"):
        document(counted, describe=usual_description, currency=five, overwrites=False, removes=False)


_NAMES = st.sampled_from(["signup", "buy", "купить", "cafe\u0301", "caf\u00e9"])
_TITLES = st.sampled_from(["Acme", "Ümlaut", "Zoo"])
_DOCUMENTED = st.builds(
    Documented,
    _TITLES.map(key),
    _NAMES.map(key),
    st.sampled_from(["", "said"]),
    st.sampled_from([None, "euro", "dollar"]),
)


@given(
    st.lists(_DOCUMENTED, unique_by=lambda one: (one.category, one.event)),
    st.lists(_DOCUMENTED, unique_by=lambda one: (one.category, one.event)),
    st.booleans(),
)
def test_after_all_changes_there_is_nothing_to_do(
    before: list[Documented], after: list[Documented], both: bool
) -> None:
    def catalog(events: list[Documented]) -> Catalog:
        titles = tuple(dict.fromkeys(event.category for event in events))
        return Catalog(titles, tuple(events), overwrites=both, removes=both)

    there: dict[tuple[str, ...], list[Resource]] = {}
    for wanted in (catalog(before), catalog(after)):
        for change in catalog_changes(wanted, there)[0]:
            match change:
                case CreateCategory(category):
                    there[key(category),] = [Resource("id", category)]
                case CreateEvent(category, event, said) | UpdateEvent(category, event, said):
                    assert (key(category),) in there
                    there[key(category), key(event)] = [Resource("id", event, said)]
                case CreateProperty(category, event, name, value) | UpdateProperty(
                    category, event, name, value
                ):
                    assert (key(category), key(event)) in there
                    there[key(category), key(event), name] = [Resource("id", name, value)]
                case DeleteEvent(category, event):
                    path = key(category), key(event)
                    there = {one: found for one, found in there.items() if one[:2] != path}
                case other:
                    raise AssertionError(other)
        assert catalog_changes(wanted, there) == ((), ())
