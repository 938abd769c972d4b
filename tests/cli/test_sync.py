"""``fathom sync``, against embedded servers of Fathom, Secoda and Emma."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import evolve

from fathom_async._cli import main
from fathom_async.connectors.sync._memory import opened
from fathom_async.testing import FathomServer, Status
from tests.support.emma_pages import EmmaPages
from tests.support.networks import Proxy
from tests.support.secoda_pages import SecodaPages

from .conftest import Command

INTEGRATION = "cf103b47-8576-4467-ad34-384cd523abd9"
SECODA = ("sync", "secoda", "CDBUGS", "--integration", INTEGRATION)
CATEGORY = "Bugs Bunny Portfolio"


@pytest.fixture
async def catalog() -> AsyncIterator[SecodaPages]:
    async with SecodaPages(token="secoda-token") as server:
        yield server


@pytest.fixture
async def mail() -> AsyncIterator[EmmaPages]:
    async with EmmaPages(keys=("public", "private")) as server:
        yield server


@pytest.fixture
def fathom(command: Command, catalog: SecodaPages, mail: EmmaPages) -> Command:
    return evolve(
        command,
        env={
            **command.env,
            "SECODA_API_TOKEN": "secoda-token",
            "SECODA_BASE_URL": catalog.url,
            "EMMA_ACCOUNT_ID": "100",
            "EMMA_PUBLIC_KEY": "public",
            "EMMA_PRIVATE_KEY": "private",
            "EMMA_BASE_URL": mail.url,
        },
    )


def with_old_event(catalog: SecodaPages) -> str:
    """Put an event that Fathom does not have into the catalog."""
    category = catalog.add("event_category", CATEGORY, integration=INTEGRATION)
    return catalog.add("event", "old", parent=category, integration=INTEGRATION)


async def test_unless_told_the_plan_is_shown_and_nothing_is_changed(
    fathom: Command, catalog: SecodaPages
) -> None:
    ended = await fathom(*SECODA)
    head, first, *others = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "fathom: nothing was changed; pass --apply to make these changes\n")
    assert head.startswith("Secoda: ")
    assert first == f"  + {CATEGORY}"
    assert head.endswith(", about 0 s: create 1 category, create 3 events")
    assert f"  + {CATEGORY} / purchase" in others
    assert {hit.method for hit in catalog.hits} == {"GET"}


async def test_applied_it_tells_each_change_and_a_second_run_finds_nothing(
    fathom: Command, catalog: SecodaPages
) -> None:
    ended = await fathom(*SECODA, "--apply")
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.out.splitlines()) == len(catalog.entries) > 1
    assert all(line.endswith(" [done]") for line in ended.out.splitlines())
    again = await fathom(*SECODA, "--apply")
    assert (again.code, again.out) == (0, "Secoda: nothing to change\n")
    shown = await fathom(*SECODA)
    assert (shown.code, shown.out, shown.err) == (0, "Secoda: nothing to change\n", "")


async def test_deleting_asks_and_names_what_is_lost(fathom: Command, catalog: SecodaPages) -> None:
    old = with_old_event(catalog)
    refused = await fathom.in_terminal(*SECODA, "--remove", "--apply", acts=((r"\[y/N\] ", "n\n"),))
    assert refused.code == 1
    assert "Make these changes, and delete 1 event for good?" in refused.out
    assert f"  - {CATEGORY} / old" in refused.out
    assert {hit.method for hit in catalog.hits} == {"GET"}
    agreed = await fathom.in_terminal(*SECODA, "--remove", "--apply", acts=((r"\[y/N\] ", "y\n"),))
    assert agreed.code == 0
    assert f"- {CATEGORY} / old [done]" in agreed.out
    assert old not in catalog.entries


async def test_nothing_is_deleted_where_nobody_can_be_asked(fathom: Command, catalog: SecodaPages) -> None:
    old = with_old_event(catalog)
    ended = await fathom(*SECODA, "--remove", "--apply")
    assert ended.code == 2
    assert ended.err == "fathom: no terminal to confirm on; pass --yes\n"
    assert {hit.method for hit in catalog.hits} == {"GET"}
    assert (await fathom(*SECODA, "--remove", "--apply", "--yes")).code == 0
    assert old not in catalog.entries


async def test_what_a_person_wrote_stays_unless_it_may_be_overwritten(
    fathom: Command, catalog: SecodaPages
) -> None:
    assert (await fathom(*SECODA, "--apply")).code == 0
    event = next(entry for entry in catalog.entries.values() if entry["title"] == "purchase")
    event["description"] = "Written by hand."
    assert (await fathom(*SECODA)).out == "Secoda: nothing to change\n"
    assert f"~ {CATEGORY} / purchase: Event of" in (await fathom(*SECODA, "--overwrite")).out


async def test_changes_that_fail_are_told_and_the_same_command_makes_them(
    fathom: Command, catalog: SecodaPages
) -> None:
    catalog.inject(Status(400, {"error": "no"}), method="POST", path="/api/v1/event/events/")
    ended = await fathom(*SECODA, "--apply")
    assert ended.code == 5
    assert ended.out.count("[failed: 400 Bad Request") == 1
    again = await fathom(*SECODA, "--apply")
    assert (again.code, again.out.count("[done]")) == (0, 1)


async def test_emma_gets_a_type_for_each_name(fathom: Command, mail: EmmaPages) -> None:
    shown = await fathom("sync", "emma", "CDBUGS")
    assert shown.code == 0
    assert "  + purchase" in shown.out.splitlines()
    assert mail.types == {}
    ended = await fathom("sync", "emma", "CDBUGS", "--apply")
    assert (ended.code, ended.err) == (0, "")
    assert "+ purchase [done]" in ended.out.splitlines()
    assert "purchase" in {kind["event_type"] for kind in mail.types.values()}


async def test_a_server_without_a_catalog_can_be_chosen(fathom: Command, catalog: SecodaPages) -> None:
    assert (await fathom(*SECODA, "--reads", "events")).code == 0
    assert {hit.path for hit in catalog.hits if "resource" in hit.path} == set()
    refused = await fathom(*SECODA, "--reads", "both")
    assert (refused.code, "both" in refused.err) == (2, True)


async def test_the_budget_of_a_service_may_be_shared(fathom: Command, tmp_path: Path) -> None:
    budgets = [tmp_path / name for name in ("secoda", "emma", "other")]
    secoda, emma, other = (f"file://{budget}" for budget in budgets)
    assert (await fathom(*SECODA, "--budget", secoda)).code == 0
    assert (await fathom("sync", "emma", EMMA_BUDGET=emma)).code == 0
    assert (await fathom("sync", "emma", "--budget", other, EMMA_BUDGET=emma)).code == 0
    assert [budget.exists() for budget in budgets] == [True] * 3


async def test_emmas_time_zone_can_be_named(fathom: Command) -> None:
    assert (await fathom("sync", "emma", "--timezone", "America/Chicago")).code == 0
    for refused in (
        await fathom("sync", "emma", "--timezone", "Mars"),
        await fathom("sync", "emma", EMMA_TIMEZONE="Mars"),
    ):
        assert (refused.code, "TZ database name" in refused.err) == (2, True)


async def test_a_sync_beside_another_says_so(fathom: Command, catalog: SecodaPages, tmp_path: Path) -> None:
    with opened(f"Secoda {catalog.url}/api/v1 {INTEGRATION.replace('-', '')}", tmp_path):
        ended = await fathom(*SECODA, "--apply", "--memory", str(tmp_path))
    assert (ended.code, ended.err.count("another sync of this destination is at work")) == (1, 1)
    assert catalog.entries == {}
    assert (await fathom(*SECODA, "--apply", "--memory", str(tmp_path))).code == 0


@pytest.mark.parametrize(
    ("arguments", "env", "told"),
    [
        (SECODA, {"SECODA_API_TOKEN": ""}, "no credentials: set SECODA_API_TOKEN"),
        (
            ("sync", "emma"),
            {"EMMA_PUBLIC_KEY": "", "EMMA_ACCOUNT_ID": ""},
            "no credentials: set EMMA_ACCOUNT_ID and EMMA_PUBLIC_KEY",
        ),
    ],
)
async def test_credentials_are_looked_for_before_anything_is_sent(
    fathom: Command, fathom_server: FathomServer, arguments: tuple[str, ...], env: dict[str, str], told: str
) -> None:
    ended = await fathom(*arguments, **env)
    assert (ended.code, ended.out, ended.err) == (3, "", f"fathom: {told}\n")
    assert not fathom_server.hits


@pytest.mark.parametrize(
    ("env", "code", "told"),
    [
        ({"SECODA_API_TOKEN": "wrong-secret"}, 3, "; check SECODA_API_TOKEN\n"),
        ({"SECODA_BASE_URL": "http://127.0.0.1:1"}, 1, "; check the network and SECODA_BASE_URL\n"),
        (
            {"FATHOM_BASE_URL": "http://127.0.0.1:1"},
            1,
            "; is FATHOM_BASE_URL right, and the server running? (",
        ),
    ],
)
async def test_whose_fault_it_is_is_told_without_the_token(
    fathom: Command, env: dict[str, str], code: int, told: str
) -> None:
    ended = await fathom(*SECODA, **env)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1
    assert "wrong-secret" not in ended.err


@pytest.mark.parametrize(("service", "host"), [(SECODA, "api.secoda.co"), (("sync", "emma"), "api.e2ma.net")])
async def test_the_services_are_reached_through_the_proxy_of_the_environment(
    fathom: Command, service: tuple[str, ...], host: str
) -> None:
    async with Proxy(status=403).running() as proxy:
        urls = {"SECODA_BASE_URL": "", "EMMA_BASE_URL": ""}
        ended = await fathom(*service, HTTPS_PROXY=proxy.url, NO_PROXY="", **urls)
    assert ended.code != 0
    assert proxy.asked[0].startswith(f"CONNECT {host}:443 HTTP/1.1\r\n")
    assert "authorization" not in proxy.asked[0].lower()


async def test_arguments_are_checked(fathom: Command, fathom_server: FathomServer) -> None:
    missing = await fathom("sync", "secoda")
    assert (missing.code, "--integration" in missing.err) == (2, True)
    blank = await fathom("sync", "secoda", "--integration", " ")
    assert (blank.code, "integration must be a non-empty string" in blank.err) == (2, True)
    assert not fathom_server.hits
    unknown = await fathom("sync", "emma", "NOWHERE")
    assert (unknown.code, unknown.err) == (2, "fathom: there is no site NOWHERE in this account\n")


@pytest.mark.parametrize("service", ["secoda", "emma"])
def test_help_names_the_variables_of_the_credentials(
    service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", service, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"Usage: fathom sync {service}" in told
    assert f"{service.upper()}_BASE_URL" in told
