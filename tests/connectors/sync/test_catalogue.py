"""What should be in the catalogue against what is: plain values in, changes out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from fathom_async.connectors.secoda import Resource
from fathom_async.connectors.sync import (
    CreateCategory,
    CreateEvent,
    CreateProperty,
    DeleteEvent,
    UpdateEvent,
    UpdateProperty,
)
from fathom_async.connectors.sync.catalogue import (
    Catalogue,
    Documented,
    by_path,
    differences,
    document,
    known_currency,
    usual_description,
)
from fathom_async.connectors.sync.names import category_titles, key
from fathom_async.connectors.sync.source import CountedSite
from fathom_async.models import Event, Site

ACME = Site("ACME", "Acme", "none", datetime(2026, 1, 1, tzinfo=UTC))
SIGNUP = Documented("Acme", "signup", "Somebody signed up.", "euro")
WANTED = Catalogue(("Acme",), (SIGNUP,))

CATEGORY = Resource("c", "Acme")
EVENT = Resource("e", "signup", "Somebody signed up.", parent="c")
CURRENCY = Resource("p", "currency", "euro", parent="e")


def present(*changed: Resource) -> Mapping[tuple[str, ...], Sequence[Resource]]:
    """A catalogue that has everything, with these things instead of those of the same id."""
    things = {thing.id: thing for thing in (CATEGORY, EVENT, CURRENCY, *changed)}
    levels: list[list[Resource]] = [[], [], []]
    for name, thing in things.items():
        levels["cep".index(name[0])].append(thing)
    return by_path(*levels)


def test_nothing_there_means_everything_from_the_top_down() -> None:
    changes, notes = differences(WANTED, {})
    assert changes == (
        CreateCategory("Acme"),
        CreateEvent("Acme", "signup", "Somebody signed up."),
        CreateProperty("Acme", "signup", "currency", "euro"),
    )
    assert notes == ()


def test_everything_there_means_nothing_to_do() -> None:
    assert differences(WANTED, present()) == ((), ())


def test_a_description_by_a_person_is_kept_and_an_empty_one_is_filled() -> None:
    theirs, empty = evolve(EVENT, description="Written by hand."), evolve(EVENT, description=" ")
    update = UpdateEvent("Acme", "signup", "Somebody signed up.")
    assert differences(WANTED, present(theirs))[0] == ()
    assert differences(WANTED, present(empty))[0] == (update,)
    assert differences(evolve(WANTED, overwrites=True), present(theirs))[0] == (update,)


def test_a_currency_follows_and_an_unknown_one_is_left() -> None:
    dollars = evolve(CURRENCY, description="dollar")
    assert differences(WANTED, present(dollars))[0] == (UpdateProperty("Acme", "signup", "currency", "euro"),)
    unknown = evolve(WANTED, events=(evolve(SIGNUP, currency=None),))
    assert differences(unknown, present(dollars))[0] == ()


def test_others_are_deleted_only_when_asked_and_only_in_categories_of_ours() -> None:
    there = present(
        Resource("e2", "old", parent="c"), Resource("c2", "Theirs"), Resource("e3", "x", parent="c2")
    )
    assert differences(WANTED, there)[0] == ()
    assert differences(evolve(WANTED, removes=True), there)[0] == (DeleteEvent("Acme", "old"),)


def test_archived_things_are_left_alone_and_named() -> None:
    wanted = evolve(WANTED, removes=True)
    gone = evolve(EVENT, archived=True, description=None)
    assert differences(wanted, present(gone)) == ((), ("Acme / signup: archived, left alone",))
    closed = evolve(CATEGORY, archived=True)
    assert differences(wanted, present(closed)) == ((), ("Acme: archived, left alone",))
    again = Resource("e2", "signup", parent="c")
    assert differences(wanted, present(gone, again))[0][0] == UpdateEvent(
        "Acme", "signup", "Somebody signed up."
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


@example({"A": "x", "C": "x", "B": "x (A)", "D": "x (A) (B)"})
@given(st.dictionaries(st.sampled_from("ABCDE"), st.sampled_from(["x", "x (A)", "x (A) (B)", "A", " "])))
def test_no_two_categories_have_the_same_title(names: dict[str, str]) -> None:
    titles = category_titles(evolve(ACME, id=site, name=name) for site, name in names.items())
    assert len(set(titles.values())) == len(names)


def test_what_fathom_knows_becomes_what_should_be_there() -> None:
    counted = CountedSite(ACME, "Acme", (Event("signup", currency="euro"), Event("купить 🛒")), nameless=2)
    made = document([counted], usual_description, known_currency, overwrites=False, removes=False)
    assert made == Catalogue(
        ("Acme",),
        (
            Documented("Acme", "signup", "Event of Acme (ACME), counted by Fathom Analytics.", "euro"),
            Documented("Acme", "купить 🛒", "Event of Acme (ACME), counted by Fathom Analytics.", None),
        ),
        ("Acme: 2 without a name left out",),
    )


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
    def catalogue(events: list[Documented]) -> Catalogue:
        titles = tuple(dict.fromkeys(event.category for event in events))
        return Catalogue(titles, tuple(events), overwrites=both, removes=both)

    there: dict[tuple[str, ...], list[Resource]] = {}
    for wanted in (catalogue(before), catalogue(after)):
        for change in differences(wanted, there)[0]:
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
        assert differences(wanted, there) == ((), ())
