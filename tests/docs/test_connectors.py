"""The examples of ``docs/connectors.md`` work as shown."""

from fathom_async import FathomClient
from fathom_async.connectors import EmmaClient, SecodaClient
from fathom_async.connectors.emma import NewMemberEvent
from fathom_async.connectors.sync import apply, plan_sync
from fathom_async.testing import Dataset, Event, FathomServer, Site
from tests.support.documentation import blocks, run
from tests.support.emma_pages import EmmaPages
from tests.support.secoda_pages import SecodaPages

DATA = Dataset(
    sites=[Site(id="CDBUGS", name="Acme")],
    events=[Event(site_id="CDBUGS", id="A", name="signup"), Event(site_id="CDBUGS", id="B", name="purchase")],
)


async def test_every_example_runs_unchanged() -> None:
    shown = blocks("connectors.md")
    names: dict[str, object] = {
        "apply": apply,
        "plan_sync": plan_sync,
        "NewMemberEvent": NewMemberEvent,
        "token": "any",
        "public_key": "a",
        "private_key": "b",
        "integration": "cf103b4785764467ad34384cd523abd9",
        "emails": ["homer@simpsonsfamily.doh"] * 12,
    }
    async with (
        FathomServer(data=DATA) as source,
        SecodaPages() as catalog,
        EmmaPages() as mail,
        FathomClient("any", base_url=source.url) as fathom,
        SecodaClient("any", base_url=catalog.url) as secoda,
        EmmaClient(100, public_key="a", private_key="b", base_url=mail.url) as emma,
    ):
        for block in shown:
            names |= {"fathom": fathom, "secoda": secoda, "emma": emma}
            await run(block, names)
    assert len(shown) == 6
    assert len(mail.events) == 12
    assert {kind["event_type"] for kind in mail.types.values()} == {"purchase", "signup"}
    titles = [entry["title"] for entry in catalog.entries.values()]
    assert titles == ["Acme", "signup", "currency", "purchase"]
