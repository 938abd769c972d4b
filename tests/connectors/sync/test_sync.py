"""Fathom's events carried over to embedded servers of Secoda and Emma."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from fathom_async import ArgumentError, AuthenticationError, ClosedError, FathomClient
from fathom_async.connectors import EmmaClient, SecodaClient
from fathom_async.connectors.sync import (
    Applied,
    Change,
    CreateCategory,
    CreateEvent,
    CreateEventType,
    CreateProperty,
    DeleteEvent,
    RemoteState,
    SyncError,
    SyncPlan,
    UpdateEvent,
    UpdateProperty,
    apply,
    plan_sync,
)
from fathom_async.testing import Dataset, Disconnect, Event, FathomServer, Site, Status
from tests.conftest import EAGER, until
from tests.support.emma_pages import EmmaPages
from tests.support.secoda_pages import SecodaPages, documented_writes

pytestmark = pytest.mark.virtual_time

INTEGRATION = "cf103b4785764467ad34384cd523abd9"

DATA = Dataset(
    sites=[Site(id="ACME", name="Acme"), Site(id="ZOO", name="Zoo"), Site(id="ZOO2", name="Zoo")],
    events=[
        Event(site_id="ACME", id="A", name="signup"),
        Event(site_id="ACME", id="B", name="купить 🛒"),
        Event(site_id="ACME", id="C", name="signup"),
        Event(site_id="ACME", id="D", name=" "),
        Event(site_id="ZOO", id="E", name="signup"),
        Event(site_id="ZOO2", id="F", name="feed / pet"),
    ],
)


@pytest.fixture
async def fathom() -> AsyncIterator[FathomClient]:
    async with FathomServer(data=DATA) as server, FathomClient("any", base_url=server.url) as client:
        yield client


@pytest.fixture
async def catalog() -> AsyncIterator[SecodaPages]:
    async with SecodaPages(page_size=2) as server:
        yield server


@pytest.fixture
async def secoda(catalog: SecodaPages) -> AsyncIterator[SecodaClient]:
    async with SecodaClient("any", base_url=catalog.url, retry=EAGER) as client:
        yield client


@pytest.fixture
async def mail() -> AsyncIterator[EmmaPages]:
    async with EmmaPages() as server:
        yield server


@pytest.fixture
async def emma(mail: EmmaPages) -> AsyncIterator[EmmaClient]:
    async with EmmaClient(100, public_key="a", private_key="b", base_url=mail.url, retry=EAGER) as client:
        yield client


def titles(server: SecodaPages) -> set[tuple[str, ...]]:
    """The paths of everything in the catalog."""

    def path(name: object) -> tuple[str, ...]:
        entry = server.entries[str(name)]
        return (*(path(entry["parent"]) if entry["parent"] else ()), str(entry["title"]))

    return {path(name) for name in server.entries}


async def plan_state(plan: SyncPlan) -> RemoteState:
    return await plan.destination.compare(plan.source)


async def states(plan: SyncPlan) -> list[str]:
    return [outcome.state async for outcome in apply(plan)]


async def test_planning_changes_nothing_and_can_be_read(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION, sites=["ACME", "ZOO2"])
    said = "Event of Acme (ACME), counted by Fathom Analytics."
    assert plan.changes == (
        CreateCategory("Acme"),
        CreateCategory("Zoo (ZOO2)"),
        CreateEvent("Acme", "signup", said),
        CreateEvent("Acme", "купить 🛒", said),
        CreateEvent("Zoo (ZOO2)", "feed / pet", "Event of Zoo (ZOO2), counted by Fathom Analytics."),
    )
    assert str(plan).splitlines() == [
        "Secoda: 5 changes to make, about 0 s: create 2 categories, create 3 events",
        "  + Acme",
        "  + Zoo (ZOO2)",
        "  + Acme / signup",
        "  + Acme / купить 🛒",
        '  + Zoo (ZOO2) / "feed / pet"',
        "  ! Acme: 1 without a name left out",
    ]
    assert {hit.method for hit in catalog.hits} == {"GET"}


async def test_applied_it_is_there_and_a_second_plan_is_empty(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    async def plan() -> SyncPlan:
        return await plan_sync(
            fathom,
            secoda,
            integration=INTEGRATION,
            describe=lambda site, event: f"{event.name} on {site.name}",
            currency=lambda _, event: "euro" if event.name == "signup" else None,
        )

    first = await plan()
    assert await states(first) == ["done"] * len(first.changes)
    assert titles(catalog) == {
        ("Acme",),
        ("Acme", "signup"),
        ("Acme", "signup", "currency"),
        ("Acme", "купить 🛒"),
        ("Zoo (ZOO)",),
        ("Zoo (ZOO)", "signup"),
        ("Zoo (ZOO)", "signup", "currency"),
        ("Zoo (ZOO2)",),
        ("Zoo (ZOO2)", "feed / pet"),
    }
    said = {str(entry["description"]) for entry in catalog.entries.values()}
    assert said == {
        "None",
        "euro",
        "signup on Acme",
        "купить 🛒 on Acme",
        "signup on Zoo",
        "feed / pet on Zoo",
    }
    second = await plan()
    assert (second.changes, bool(second)) == ((), False)
    assert str(second).startswith("Secoda: nothing to change")
    assert await states(first) == ["unneeded"] * len(first.changes)


async def test_interrupted_anywhere_it_goes_on_where_it_ended(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    first = await plan_sync(fathom, secoda, integration=INTEGRATION)
    left = len(first.changes)
    while left:
        plan = await plan_sync(fathom, secoda, integration=INTEGRATION)
        assert len(plan.changes) == left
        async with aclosing(apply(plan)) as outcomes:
            async for outcome in outcomes:
                assert outcome.state == "done"
                break
        left -= 1
    assert len(titles(catalog)) == len(catalog.entries) == len(first.changes)


async def test_a_creation_whose_answer_was_lost_is_not_repeated(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION, sites=["ZOO"])
    catalog.inject(Disconnect(after_processing=True), method="POST")
    outcomes = [outcome async for outcome in apply(plan)]
    assert [outcome.state for outcome in outcomes] == ["failed", "failed"]
    assert isinstance(outcomes[1].error, SyncError)
    assert "Zoo (ZOO) is missing" in str(outcomes[1])
    assert await states(plan) == ["unneeded", "done"]
    assert titles(catalog) == {("Zoo (ZOO)",), ("Zoo (ZOO)", "signup")}


async def test_one_failure_does_not_end_the_others(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION, sites=["ACME"])
    catalog.inject(Status(400, {"error": "no"}), method="POST", path="/api/v1/event/events/")
    assert await states(plan) == ["done", "failed", "done"]
    again = await plan_sync(fathom, secoda, integration=INTEGRATION, sites=["ACME"])
    assert [change for change in again.changes if isinstance(change, CreateEvent)] == [*again.changes]
    assert len(again.changes) == 1


async def test_events_that_fathom_does_not_have_are_removed_when_asked(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    assert await states(await plan_sync(fathom, secoda, integration=INTEGRATION)) == ["done"] * 7
    acme = next(name for name, entry in catalog.entries.items() if entry["title"] == "Acme")
    for _ in range(2):
        catalog.add("event", "old", parent=acme, integration=INTEGRATION)
    theirs = catalog.add("event", "theirs", parent=acme, integration="another")
    assert (await plan_sync(fathom, secoda, integration=INTEGRATION)).changes == ()
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION, remove=True)
    assert plan.changes == (DeleteEvent("Acme", "old"),)
    assert str(plan).splitlines()[1] == "  - Acme / old (2)"
    assert await states(plan) == ["done"]
    assert ("Acme", "old") not in titles(catalog)
    assert theirs in catalog.entries


async def test_what_is_archived_is_never_deleted(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    acme = catalog.add("event_category", "Acme", integration=INTEGRATION)
    kept = catalog.add("event", "old", parent=acme, integration=INTEGRATION, archived=True)
    gone = catalog.add("event", "old", parent=acme, integration=INTEGRATION)
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION, sites=["ACME"], remove=True)
    assert DeleteEvent("Acme", "old") in plan.changes
    assert set(await states(plan)) == {"done"}
    assert (kept in catalog.entries, gone in catalog.entries) == (True, False)


async def test_no_more_is_deleted_than_was_planned(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    acme = catalog.add("event_category", "Acme", integration=INTEGRATION)
    catalog.add("event", "old", parent=acme, integration=INTEGRATION)
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION, sites=["ACME"], remove=True)
    late = catalog.add("event", "old", parent=acme, integration=INTEGRATION)
    assert set(await states(plan)) == {"done"}
    assert late in catalog.entries


async def test_what_was_archived_since_the_plan_is_not_deleted(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    acme = catalog.add("event_category", "Acme", integration=INTEGRATION)
    kept, gone = [catalog.add("event", "old", parent=acme, integration=INTEGRATION) for _ in range(2)]
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION, sites=["ACME"], remove=True)
    assert "  - Acme / old (2)" in str(plan).splitlines()
    catalog.entries[kept]["archived"] = True
    assert set(await states(plan)) == {"done"}
    assert (kept in catalog.entries, gone in catalog.entries) == (True, False)


async def test_nothing_is_written_below_an_archived_twin(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    closed = catalog.add("event_category", "Acme", integration=INTEGRATION, archived=True)
    old = catalog.add("event", "signup", parent=closed, integration=INTEGRATION)
    live = catalog.add("event_category", "Acme", integration=INTEGRATION)
    plan = await plan_sync(
        fathom,
        secoda,
        integration=INTEGRATION,
        sites=["ACME"],
        overwrite=True,
        currency=lambda _site, _event: "euro",
    )
    assert set(await states(plan)) == {"done"}
    assert catalog.entries[old]["description"] is None
    below = {entry["title"] for entry in catalog.entries.values() if entry["parent"] == live}
    assert below == {"signup", "купить 🛒"}


async def test_what_would_be_changed_and_is_gone_is_said_to_be_gone(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    acme = catalog.add("event_category", "Acme", integration=INTEGRATION)
    there = [
        catalog.add("event", title, parent=acme, integration=INTEGRATION) for title in ("signup", "купить 🛒")
    ]
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION, sites=["ACME"])
    assert [type(change) for change in plan.changes] == [UpdateEvent, UpdateEvent]
    del catalog.entries[there[0]]
    catalog.entries[there[1]]["description"] = "Somebody was faster."
    outcomes = [outcome async for outcome in apply(plan)]
    assert [outcome.state for outcome in outcomes] == ["gone", "unneeded"]
    assert str(outcomes[0]).endswith("[gone]")


async def test_deletions_take_no_time_of_the_writes() -> None:
    data = Dataset(sites=[Site(id="ACME", name="Acme")], events=[])
    async with (
        FathomServer(data=data) as source,
        SecodaPages(writes=documented_writes()) as server,
        FathomClient("any", base_url=source.url) as fathom,
        SecodaClient("any", base_url=server.url) as secoda,
    ):
        acme = server.add("event_category", "Acme", integration=INTEGRATION)
        for number in range(60):
            server.add("event", f"old {number}", parent=acme, integration=INTEGRATION)
        plan = await plan_sync(fathom, secoda, integration=INTEGRATION, remove=True)
    assert len(plan.changes) == 60
    assert plan.seconds < 1


async def test_other_integrations_are_not_looked_at(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    catalog.add("event_category", "Zoo (ZOO)", integration="another")
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION, sites=["ZOO"])
    assert plan.changes[0] == CreateCategory("Zoo (ZOO)")


async def test_hundreds_of_events_go_through_at_30_a_minute() -> None:
    events = [Event(site_id="ACME", id=f"E{n:03}", name=f"event {n}") for n in range(150)]
    data = Dataset(sites=[Site(id="ACME", name="Acme")], events=events)
    async with (
        FathomServer(data=data) as source,
        SecodaPages(writes=documented_writes()) as server,
        FathomClient("any", base_url=source.url) as fathom,
        SecodaClient("any", base_url=server.url) as secoda,
    ):
        plan = await plan_sync(fathom, secoda, integration=INTEGRATION)
        assert await states(plan) == ["done"] * 151
        assert not await plan_sync(fathom, secoda, integration=INTEGRATION)
    assert len(server.entries) == 151
    assert server.max_in_window("writes") == 30
    assert {hit.status for hit in server.hits} == {200, 201}
    assert 290 < plan.seconds < 320


async def test_emma_gets_one_type_for_each_name(
    fathom: FathomClient, emma: EmmaClient, mail: EmmaPages
) -> None:
    mail.add_type("feed / pet", display_name="Feeding")
    plan = await plan_sync(fathom, emma)
    assert plan.changes == (CreateEventType("signup", "signup"), CreateEventType("купить 🛒", "купить 🛒"))
    assert str(plan).splitlines()[-1] == "  ! Acme: 1 without a name left out"
    mail.inject(Disconnect(after_processing=True), method="POST")
    assert await states(plan) == ["failed", "done"]
    assert not await plan_sync(fathom, emma)
    assert [kind["event_type"] for kind in mail.types.values()] == ["feed / pet", "signup", "купить 🛒"]


async def test_a_type_that_is_only_displayed_as_an_event_is_another_type(
    fathom: FathomClient, emma: EmmaClient, mail: EmmaPages
) -> None:
    mail.add_type("visited_website", display_name="signup")
    plan = await plan_sync(fathom, emma, sites=["ZOO"])
    assert plan.changes == (CreateEventType("signup", "signup"),)
    assert plan.notes == ("signup: the type visited_website is displayed as that",)


async def test_what_ends_everything_is_raised(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION)
    catalog.inject(Status(401), method="POST")
    with pytest.raises(AuthenticationError):
        await states(plan)
    await secoda.aclose()
    with pytest.raises(ClosedError):
        await states(plan)


async def test_cancelled_it_leaves_nothing_running(
    fathom: FathomClient, secoda: SecodaClient, catalog: SecodaPages
) -> None:
    plan = await plan_sync(fathom, secoda, integration=INTEGRATION)
    secoda.pause(60)
    applying = asyncio.create_task(states(plan))
    await until(lambda: secoda.limits["writes"].queued > 0)
    applying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await applying
    assert secoda.limits["writes"].queued == 0
    assert catalog.entries == {}


async def test_a_plan_that_makes_no_sense_costs_no_request(
    fathom: FathomClient, secoda: SecodaClient, emma: EmmaClient
) -> None:
    with pytest.raises(ArgumentError, match="integration is required"):
        await plan_sync(fathom, secoda)
    with pytest.raises(ArgumentError, match="are for Secoda only"):
        await plan_sync(fathom, emma, remove=True)
    with pytest.raises(ArgumentError, match=r"write sites=\['ACME'\]"):
        await plan_sync(fathom, emma, sites="ACME")
    with pytest.raises(ArgumentError, match="are for Secoda only"):
        await plan_sync(fathom, emma, currency=lambda _site, _event: "euro")
    with pytest.raises(
        ArgumentError, match="must be a SecodaClient, an EmmaClient or a Destination, not 'nope'"
    ):
        await plan_sync(fathom, "nope")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="sites must be a list of ids, not 5"):
        await plan_sync(fathom, emma, sites=5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="sites must be a non-empty string"):
        await plan_sync(fathom, emma, sites=[5])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
    assert sum(fathom.stats.sent.values()) == 0
    with pytest.raises(ArgumentError, match="there is no site NONE"):
        await plan_sync(fathom, emma, sites=["ACME", "NONE"])


async def test_sites_may_come_from_a_generator(fathom: FathomClient, emma: EmmaClient) -> None:
    plan = await plan_sync(fathom, emma, sites=(site for site in ["ZOO2"]))
    assert plan.changes == (CreateEventType("feed / pet", "feed / pet"),)


async def test_each_service_refuses_the_other_ones_changes(
    fathom: FathomClient, secoda: SecodaClient, emma: EmmaClient
) -> None:
    documented = await plan_state(await plan_sync(fathom, secoda, integration=INTEGRATION))
    with pytest.raises(SyncError, match="cannot do this"):
        await documented.make(CreateEventType("signup", "signup"), lambda: None)
    mailed = await plan_state(await plan_sync(fathom, emma))
    with pytest.raises(SyncError, match="event types only"):
        await mailed.make(CreateCategory("Acme"), lambda: None)


def test_changes_read_well() -> None:
    assert str(CreateProperty("Acme", "signup", "currency", "euro")) == "+ Acme / signup / currency: euro"
    assert str(UpdateProperty("Acme", "signup", "currency", "euro")) == "~ Acme / signup / currency: euro"
    assert str(UpdateEvent("Acme", "signup", "Said.")) == "~ Acme / signup: Said."
    assert str(DeleteEvent("Acme", "old")) == "- Acme / old"
    assert str(CreateEventType("signup", "signup")) == "+ signup"


FORGED = "a\n  - all\r\x1b[2K\u202eb\u2028\x00"
ESCAPED = r"a\n  - all\r\x1b[2K\u202eb\u2028\x00"


@pytest.mark.parametrize(
    "change",
    [
        CreateCategory(FORGED),
        CreateEvent(FORGED, FORGED, FORGED),
        UpdateEvent(FORGED, FORGED, FORGED),
        CreateProperty(FORGED, FORGED, FORGED, FORGED),
        UpdateProperty(FORGED, FORGED, FORGED, FORGED),
        DeleteEvent(FORGED, FORGED),
        CreateEventType(FORGED, FORGED),
    ],
    ids=lambda change: type(change).__name__,
)
def test_no_name_can_look_like_another_line(change: Change) -> None:
    shown = str(change)
    assert shown.isprintable()
    assert ESCAPED in shown
    assert str(Applied(change, "failed", SyncError(FORGED))).isprintable()


async def test_a_plan_has_a_line_for_each_change_whatever_the_names(emma: EmmaClient) -> None:
    data = Dataset(
        sites=[Site(id="ACME", name="Ac\rme")],
        events=[Event(site_id="ACME", id=name, name=name) for name in (FORGED, "é 🛒", " ")],
    )
    async with FathomServer(data=data) as server, FathomClient("any", base_url=server.url) as fathom:
        plan = await plan_sync(fathom, emma)
    assert str(plan).split("\n")[1:] == [
        f'  + "{ESCAPED}"',
        "  + é 🛒",
        r"  ! Ac\rme: 1 without a name left out",
    ]
