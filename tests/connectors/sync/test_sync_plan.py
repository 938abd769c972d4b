"""Syncs that meet others, services that lag behind, and destinations of one's own."""

import asyncio
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from attrs import evolve, field, frozen

from fathom_async import ConfigurationError, ConnectError, FathomClient, ValidationError
from fathom_async.connectors import EmmaClient, SecodaClient
from fathom_async.connectors.sync import (
    AccountEvents,
    Change,
    CreateEvent,
    CreateEventType,
    DeleteEvent,
    SyncError,
    SyncPlan,
    UpdateEvent,
    _sync_plan,
    apply,
    plan_sync,
)
from fathom_async.connectors.sync._changes import titled
from fathom_async.connectors.sync._memory import opened
from fathom_async.testing import Dataset, Disconnect, Event, FathomServer, Site, Status
from tests.conftest import EAGER
from tests.support.emma_pages import EmmaPages
from tests.support.secoda_pages import SecodaPages, documented_writes

pytestmark = pytest.mark.virtual_time

INTEGRATION = "cf103b4785764467ad34384cd523abd9"
DATA = Dataset(
    sites=[Site(id=f"S{site}", name=f"Site {site}") for site in range(3)],
    events=[
        Event(site_id=f"S{site}", id=f"E{site}{number}", name=f"event {number}")
        for site in range(3)
        for number in range(8)
    ],
)
EVERYTHING = 3 + 3 * 8


@pytest.fixture
async def fathom() -> AsyncIterator[FathomClient]:
    async with FathomServer(data=DATA) as server, FathomClient("any", base_url=server.url) as client:
        yield client


def secoda_of(server: SecodaPages) -> SecodaClient:
    return SecodaClient("any", base_url=server.url, retry=EAGER)


def emma_of(server: EmmaPages) -> EmmaClient:
    return EmmaClient(100, public_key="a", private_key="b", base_url=server.url, retry=EAGER)


async def plan_of(fathom: FathomClient, secoda: SecodaClient, memory: Path | None = None) -> SyncPlan:
    return await plan_sync(fathom, secoda, integration=INTEGRATION, memory=memory)


async def states(plan: SyncPlan, most: int = sys.maxsize) -> list[str]:
    """Apply a plan, or the beginning of it."""
    found: list[str] = []
    async with aclosing(apply(plan)) as outcomes:
        async for outcome in outcomes:
            found.append(outcome.state)
            if len(found) == most:
                break
    return found


def paths(server: SecodaPages) -> Counter[tuple[object, ...]]:
    """How often each path is in the catalog."""

    def path(name: object) -> tuple[object, ...]:
        entry = server.entries[str(name)]
        return (*(path(entry["parent"]) if entry["parent"] else ()), entry["title"])

    return Counter(map(path, server.entries))


async def test_a_list_that_says_parent_id_does_not_make_a_second_plan(fathom: FathomClient) -> None:
    async with SecodaPages(generated=True) as server, secoda_of(server) as secoda:
        assert await states(await plan_of(fathom, secoda)) == ["done"] * EVERYTHING
        assert not await plan_of(fathom, secoda)
    assert len(server.entries) == EVERYTHING


async def test_of_two_syncs_on_one_machine_one_works(fathom: FathomClient) -> None:
    async with SecodaPages(writes=documented_writes()) as server, secoda_of(server) as secoda:
        one, other = await plan_of(fathom, secoda), await plan_of(fathom, secoda)
        async with aclosing(apply(one)) as working:
            await anext(working)
            with pytest.raises(SyncError, match="another sync of this destination is at work"):
                await states(other)
            during = await plan_of(fathom, secoda)
            assert "another sync" in during.notes[-1]
            assert {outcome.state async for outcome in working} == {"done"}
        assert set(await states(other)) == {"unneeded"}
    assert set(paths(server).values()) == {1}
    assert len(server.entries) == EVERYTHING


@pytest.mark.parametrize("lag", [0.0, 20.0])
async def test_of_two_machines_each_looks_before_it_creates(
    fathom: FathomClient, lag: float, tmp_path: Path
) -> None:
    async with (
        SecodaPages(writes=documented_writes(), lag=lag) as server,
        secoda_of(server) as here,
        secoda_of(server) as there,
    ):
        one, other = await plan_of(fathom, here, tmp_path / "a"), await plan_of(fathom, there, tmp_path / "b")

        async def late() -> list[str]:
            await asyncio.sleep(0.5)
            return await states(other)

        found = await asyncio.gather(states(one), late())
    assert Counter(found[0] + found[1]) == {"done": EVERYTHING, "unneeded": EVERYTHING}
    assert set(paths(server).values()) == {1}


@pytest.mark.parametrize("lists_lag", [False, True])
@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("generated", [False, True])
async def test_a_sync_that_ends_anywhere_and_runs_again_creates_nothing_twice(
    fathom: FathomClient, lists_lag: bool, lost: bool, generated: bool
) -> None:
    async with (
        SecodaPages(lag=20.0, lists_lag=lists_lag, generated=generated) as server,
        secoda_of(server) as secoda,
    ):
        for most in (1, 2, 5, 9):
            if lost:
                server.inject(Disconnect(after_processing=True), method="POST")
            await states(await plan_of(fathom, secoda), most)
        outcomes = [outcome async for outcome in apply(await plan_of(fathom, secoda))]
        assert {str(each) for each in outcomes if each.state not in ("done", "unneeded")} == set()
        await asyncio.sleep(20)
        assert not await plan_of(fathom, secoda)
        assert set(paths(server).values()) == {1}
        assert len(server.entries) == EVERYTHING


@pytest.mark.parametrize("retired", [404, 410, 200])
@pytest.mark.parametrize("lost", [1, 2])
async def test_a_lost_creation_is_looked_for_in_the_catalog_when_that_shows_it(
    fathom: FathomClient, retired: int, lost: int
) -> None:
    async with SecodaPages(lag=20.0, retired=retired) as server, secoda_of(server) as secoda:

        async def plan() -> SyncPlan:
            return await plan_sync(
                fathom, secoda, integration=INTEGRATION, sites=["S1"], currency=lambda _, __: "euro"
            )

        server.inject(
            *[Disconnect(after_processing=True)] * lost, method="POST", path="/api/v1/event/events/"
        )
        assert Counter(await states(await plan()))["failed"] == 2 * lost  # and their currencies
        assert set(await states(await plan())) <= {"done", "unneeded"}
        await asyncio.sleep(20)
        assert not await plan()
    assert set(paths(server).values()) == {1}
    assert len(server.entries) == 1 + 8 + 8


async def test_what_was_deleted_by_hand_is_created_anew(fathom: FathomClient) -> None:
    async with SecodaPages() as server, secoda_of(server) as secoda:
        await states(await plan_of(fathom, secoda))
        await asyncio.sleep(60)
        event = next(entry for entry in server.of_kind("event") if entry["title"] == "event 5")
        del server.entries[str(event["id"])]
        plan = await plan_of(fathom, secoda)
        assert [str(change) for change in plan.changes] == ["+ Site 0 / event 5"]
        assert await states(plan) == ["done"]


async def test_a_creation_that_the_service_refused_is_not_waited_for(fathom: FathomClient) -> None:
    async with SecodaPages() as server, secoda_of(server) as secoda:
        server.odd = {"id": None}  # an unreadable answer: perhaps it was created
        plan = await plan_of(fathom, secoda)
        assert await states(plan, 1) == ["failed"]
        server.odd = {}
        before = asyncio.get_running_loop().time()
        assert await states(plan, 1) == ["unneeded"]
        assert asyncio.get_running_loop().time() == pytest.approx(before, abs=1)


async def test_servers_without_the_deprecated_lists_are_synchronised_too(fathom: FathomClient) -> None:
    async with SecodaPages() as server, secoda_of(server) as secoda:
        await states(await plan_of(fathom, secoda), 1)
        plan = await plan_of(fathom, secoda)
        server.inject(*[Status(410)] * 26, method="GET", path="/api/v1/event/events/")
        assert await states(plan) == ["done"] * (EVERYTHING - 1)


@pytest.mark.parametrize("end", [1, 2, 7])
async def test_emma_gets_no_type_twice(fathom: FathomClient, end: int, tmp_path: Path) -> None:
    async with EmmaPages() as server, emma_of(server) as emma:
        server.inject(Disconnect(after_processing=True), method="POST")
        await states(await plan_sync(fathom, emma), end)
        plans = [await plan_sync(fathom, emma, memory=tmp_path / each) for each in "ab"]
        for plan in plans:
            await states(plan)
        assert not await plan_sync(fathom, emma)
    names = [kind["event_type"] for kind in server.types.values()]
    assert sorted(map(str, names)) == [f"event {number}" for number in range(8)]


async def test_a_memory_that_cannot_be_kept_is_a_note_in_a_plan_and_stops_its_application(
    fathom: FathomClient, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    async with SecodaPages() as server, secoda_of(server) as secoda:
        plan = await plan_of(fathom, secoda, tmp_path / "file")
        assert len(plan.changes) == EVERYTHING
        assert "pass another folder as memory" in plan.notes[-1]
        with pytest.raises(ConfigurationError, match="pass another folder as memory"):
            await states(plan)
    assert server.entries == {}


def spoil(folder: Path) -> None:
    for file in folder.glob("sync-*.db"):
        file.write_text("garbage" * 1000)


async def test_a_memory_that_is_no_database_is_told_with_its_file(
    fathom: FathomClient, tmp_path: Path
) -> None:
    async with EmmaPages() as server, emma_of(server) as emma:
        plan = await plan_sync(fathom, emma, memory=tmp_path)
        spoil(tmp_path)
        with pytest.raises(ConfigurationError, match=r"sync-\w+\.db"):
            await states(plan)
    assert server.types == {}


async def test_duplicates_are_named(fathom: FathomClient) -> None:
    async with SecodaPages() as server, secoda_of(server) as secoda:
        await states(await plan_of(fathom, secoda))
        site = server.add("event_category", "Site 0", integration=INTEGRATION)
        twin = server.add("event", "event 5", parent=site, integration=INTEGRATION)
        plan = await plan_of(fathom, secoda)
    assert plan.changes == ()
    first, second = plan.notes
    assert first.startswith("Site 0: 2 of this title, ")
    assert second.startswith("Site 0 / event 5: 2 of this title, ")
    assert site in first
    assert twin in second


async def test_duplicate_types_are_named(fathom: FathomClient) -> None:
    async with EmmaPages() as server, emma_of(server) as emma:
        for number in (0, *range(8)):
            server.add_type(f"event {number}")
        plan = await plan_sync(fathom, emma)
    assert (plan.changes, plan.notes) == ((), ("event 0: 2 types of this name; delete all but one",))


async def test_names_that_are_too_long_are_a_note() -> None:
    long = "x" * 1001
    data = Dataset(
        sites=[Site(id="A", name="Acme"), Site(id="B", name=long)],
        events=[
            Event(site_id="A", id="1", name=long),
            Event(site_id="A", id="2", name="x" * 1000),
            Event(site_id="B", id="3", name="signup"),
        ],
    )
    async with (
        FathomServer(data=data) as source,
        FathomClient("any", base_url=source.url) as fathom,
        SecodaPages() as catalog,
        EmmaPages() as mail,
        secoda_of(catalog) as secoda,
        emma_of(mail) as emma,
    ):
        documented = await plan_of(fathom, secoda)
        assert await states(documented) == ["done", "done"]
        assert not await plan_of(fathom, secoda)
        mailed = await plan_sync(fathom, emma)
        assert await states(mailed) == ["done"]
    shown = "x" * 39 + "…"
    assert documented.notes == mailed.notes
    assert documented.notes == (
        f"Acme / {shown}: over 1,000 characters, left out",
        f"{shown} / signup: over 1,000 characters, left out",
    )


async def test_a_plan_counts_by_kind_and_says_minutes() -> None:
    events = [Event(site_id="ACME", id=f"E{number:03}", name=f"event {number}") for number in range(540)]
    async with (
        FathomServer(data=Dataset(sites=[Site(id="ACME", name="Acme")], events=events)) as source,
        FathomClient("any", base_url=source.url) as fathom,
        SecodaPages() as catalog,
        secoda_of(catalog) as secoda,
    ):
        plan = await plan_of(fathom, secoda)
    head, *lines = str(plan).splitlines()
    assert head == "Secoda: 541 changes to make, about 18 min: create 1 category, create 540 events"
    assert lines[:2] == ["  + Acme", "  + Acme / event 0"]
    assert len(lines) == 541


def test_deletions_count_what_they_delete() -> None:
    changes = (DeleteEvent("A", "x", 3), UpdateEvent("A", "y", "Said."), DeleteEvent("A", "z"))
    plan = SyncPlan("Secoda", changes, (), 5.0, Diary(), AccountEvents((), None))  # type: ignore[arg-type]
    assert plan.counts == "delete 4 events, change 1 description"


def test_no_two_paths_print_alike() -> None:
    paths = [
        ("a / b", "c"),
        ("a", "b / c"),
        ("a", "b", "c"),
        ("a / b / c",),
        ('a" / "b', "c"),
        ('"a', "b", 'c"'),
        ("a\\", "b"),
        ('a\\" / "b',),
        ("a\nb",),
        ("a\\nb",),
        ("a: b",),
        ("a", "old (2)"),
    ]
    shown = [titled(*path) for path in paths]
    assert len(set(shown)) == len(paths)
    assert titled("Acme (ID)", "sign up: now!") == 'Acme (ID) / "sign up: now!"'
    assert str(DeleteEvent("a", "old", 2)) != str(DeleteEvent("a", "old (2)"))
    assert str(evolve(CreateEvent("a", "b", "said"), description="other")) == str(
        CreateEvent("a", "b", "said")
    )


@frozen
class Note(Change):
    """Write a name down."""

    verb: ClassVar[str] = "write down"
    noun: ClassVar[tuple[str, str]] = ("name", "names")
    name: str


@frozen
class Diary:
    """A destination of one's own: its state is itself."""

    written: list[str] = field(factory=list[str])
    changes: tuple[Change, ...] = ()
    name: str = "diary"
    key: str = "diary of tests"
    notes: tuple[str, ...] = ()

    async def compare(self, source: AccountEvents) -> "Diary":
        names = dict.fromkeys(str(event.name) for site in source.sites for event in site.events)
        return evolve(self, changes=tuple(Note(name) for name in names if name not in self.written))

    def eta(self, changes: Sequence[Change]) -> float:
        return float(len(changes))

    async def find(self, change: Change, made: str | None) -> bool:
        raise AssertionError((change, made))

    async def make(self, change: Change, sent: Callable[[], None]) -> str | None:
        sent()
        assert isinstance(change, Note)
        if change.name == "event 3":
            raise ValidationError(400, "not this one")
        self.written.append(change.name)
        return None

    def lacks(self, change: Change) -> bool:
        return change not in self.changes


async def test_fathoms_events_go_to_any_destination(fathom: FathomClient) -> None:
    diary = Diary()
    plan = await plan_sync(fathom, diary, sites=["S1"])
    assert str(plan).splitlines()[0] == "diary: 8 changes to make, about 8 s: write down 8 names"
    assert Counter(await states(plan)) == {"done": 7, "failed": 1}
    again = await plan_sync(fathom, diary)
    assert again.changes == (Note("event 3"),)


@frozen
class Slow(Diary):
    """A destination that takes its time, and shows only late what it was sent."""

    sent_at: list[tuple[str, float]] = field(factory=list[tuple[str, float]])
    name: str = "slow"
    key: str = "slow destination of tests"

    async def compare(self, source: AccountEvents) -> "Slow":
        shown = {name for name, at in self.sent_at if asyncio.get_running_loop().time() >= at + 28}
        names = dict.fromkeys(str(event.name) for site in source.sites for event in site.events)
        return evolve(self, changes=tuple(CreateEventType(name, name) for name in names if name not in shown))

    async def find(self, change: Change, made: str | None) -> bool:
        del change, made
        return False

    async def make(self, change: Change, sent: Callable[[], None]) -> str | None:
        assert isinstance(change, CreateEventType)
        await asyncio.sleep(10)
        sent()
        if change.event_type == "event 3" and not self.written:
            self.written.append("event 3")
            raise ValidationError(400, "not yet")
        self.sent_at.append((change.event_type, asyncio.get_running_loop().time()))
        if change.event_type == "event 7":
            raise ConnectError("the connection broke", sent=True)
        return None


@pytest.mark.parametrize("later", [0, 15, 25, 40])
async def test_a_lost_creation_is_not_repeated_whenever_the_next_sync_begins(
    fathom: FathomClient, later: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sync_plan, "opened", partial(opened, unix=asyncio.get_running_loop().time))
    slow = Slow()
    first = Counter(await states(await plan_sync(fathom, slow, sites=["S1"])))
    await asyncio.sleep(later)
    again = await states(await plan_sync(fathom, slow, sites=["S1"]))
    assert first == {"done": 6, "failed": 2}
    assert set(again) <= {"done", "unneeded"}
    assert Counter(name for name, _ in slow.sent_at) == {f"event {number}": 1 for number in range(8)}


class Full:
    """A connection to a database that takes no more after a number of statements."""

    def __init__(self, rows: sqlite3.Connection, left: int) -> None:
        self._rows = rows
        self._left = left
        self.close, self.commit = rows.close, rows.commit

    def execute(self, statement: str, values: Sequence[str] = ()) -> sqlite3.Cursor:
        self._left -= 1
        if self._left < 0:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return self._rows.execute(statement, values)


@pytest.mark.parametrize("left", range(4, 112, 7))
async def test_a_memory_that_becomes_full_ends_a_sync_with_its_file_and_creates_nothing_twice(
    fathom: FathomClient, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def full(file: Path, timeout: float) -> Full:
        return Full(connect(file, timeout=timeout), left)

    async with SecodaPages(lag=20.0) as server, secoda_of(server) as secoda:
        plan = await plan_of(fathom, secoda)
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", full)
            assert (await plan_of(fathom, secoda)).changes == plan.changes
            with pytest.raises(ConfigurationError, match=r"sync-\w+\.db.*disk is full"):
                await states(plan)
        assert set(await states(await plan_of(fathom, secoda))) <= {"done", "unneeded"}
    assert set(paths(server).values()) == {1}
    assert len(server.entries) == EVERYTHING


async def test_a_sync_that_is_cancelled_lets_the_next_one_work(fathom: FathomClient) -> None:
    async with SecodaPages(writes=documented_writes()) as server, secoda_of(server) as secoda:
        plan = await plan_of(fathom, secoda)
        applying = asyncio.create_task(states(evolve(plan)))
        await asyncio.sleep(1)
        applying.cancel()
        with suppress(asyncio.CancelledError):
            await applying
        assert len(server.entries) < EVERYTHING + 1
        assert set(await states(await plan_of(fathom, secoda))) <= {"done", "unneeded"}
    assert set(paths(server).values()) == {1}
