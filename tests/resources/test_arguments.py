"""Arguments that the reference page restricts are checked before a request is sent."""

from collections.abc import Awaitable, Callable
from datetime import date, datetime

import pytest

from fathom_async import ArgumentError, FathomClient
from fathom_async._core.request import path
from fathom_async.testing import FathomServer

LONG = "x" * 256

REFUSED: dict[str, tuple[Callable[[FathomClient], Awaitable[object]], str]] = {
    "site without a name": (lambda f: f.sites.create(name=""), "name must not be empty"),
    "site with a blank name": (lambda f: f.sites.create(name="  "), "name must not be empty"),
    "site with a long name": (
        lambda f: f.sites.create(name=LONG),
        "name may have at most 255 characters, not 256",
    ),
    "site with a strange sharing": (
        lambda f: f.sites.create(name="A", sharing="privat"),
        "did you mean 'private'",
    ),
    "private site without a password": (
        lambda f: f.sites.create(name="A", sharing="private"),
        "share_password is required",
    ),
    "long password": (
        lambda f: f.sites.create(name="A", sharing="private", share_password=LONG),
        "share_password may have at most 255",
    ),
    "several domains without an option": (
        lambda f: f.sites.create(name="A", multi_domain=True),
        "combined or separate",
    ),
    "unknown domain option": (
        lambda f: f.sites.create(name="A", multi_domain=True, multi_domain_option="both"),
        "multi_domain_option must be one of",
    ),
    "domains that are no boolean": (
        lambda f: f.sites.create(name="A", multi_domain="yes"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "True or False",
    ),
    "unknown time zone": (
        lambda f: f.sites.create(name="A", timezone="Europe/Berln"),
        "did you mean 'Europe/Berlin'",
    ),
    "site made private without a password": (
        lambda f: f.sites.update("CDBUGS", sharing="private"),
        "share_password is required if sharing is 'private'",
    ),
    "site made private without a password, said so": (
        lambda f: f.sites.update("CDBUGS", sharing="private", share_password=None),
        "share_password is required",
    ),
    "site with several domains without an option": (
        lambda f: f.sites.update("CDBUGS", multi_domain=True, multi_domain_option=None),
        "multi_domain_option is required if multi_domain is true: combined or separate",
    ),
    "empty update of a site": (
        lambda f: f.sites.update("CDBUGS"),
        "nothing to send: give at least one of name",
    ),
    "name set to null": (
        lambda f: f.sites.update("CDBUGS", name=None),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "name must be a string, not None",
    ),
    "event without a name": (lambda f: f.events.create("CDBUGS", name=""), "name must not be empty"),
    "event with a long name": (lambda f: f.events.create("CDBUGS", name=LONG), "255 characters"),
    "unknown currency": (
        lambda f: f.events.create("CDBUGS", name="A", currency="EUR"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "currency must be one of dollar, pound, euro",
    ),
    "empty update of an event": (lambda f: f.events.update("CDBUGS", "E"), "name, currency"),
    "unknown currency by name": (
        lambda f: f.events.set_currency("CDBUGS", "A", "dolar"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "mean 'dollar'",
    ),
    "deleting no name": (lambda f: f.events.delete_by_name("CDBUGS", ""), "name must be a non-empty string"),
    "milestone with a long name": (
        lambda f: f.milestones.create("CDBUGS", name="x" * 31, milestone_date="2024-01-15"),
        "name may have at most 30 characters, not 31",
    ),
    "milestone on no day": (
        lambda f: f.milestones.create("CDBUGS", name="A", milestone_date="15.1.2024"),
        "a string such as 2026-01-31, not '15.1.2024'",
    ),
    "milestone on a day that is none": (
        lambda f: f.milestones.create("CDBUGS", name="A", milestone_date="2024-02-30"),
        "not '2024-02-30'",
    ),
    "milestone at a time of day": (
        lambda f: f.milestones.update("CDBUGS", "M", name="A", milestone_date=datetime(2024, 1, 15, 9)),  # noqa: DTZ001
        "write milestone_date=2024-01-15",
    ),
    "private site without a password, said so": (
        lambda f: f.sites.create(name="A", sharing="private", share_password=None),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "share_password is required",
    ),
    "half a character": (lambda f: f.sites.create(name="\ud800"), "half a surrogate pair"),
    "an id that is another endpoint": (
        lambda f: f.events.update("CDBUGS", "currency", name="A"),
        "use events.set_currency",
    ),
    "a known field as an extra one": (
        lambda f: f.sites.create(name="A", extra={"colour": "red", "timezone": "UTC"}),
        "extra has 'timezone', which is an argument of its own",
    ),
    "a known field of an event as an extra one": (
        lambda f: f.events.update("CDBUGS", "E", extra={"currency": "yen"}),
        "extra has 'currency', which",
    ),
    "a known field of a milestone as an extra one": (
        lambda f: f.milestones.update(
            "CDBUGS", "M", name="A", milestone_date="2024-01-15", extra={"name": "B"}
        ),
        "extra has 'name', which",
    ),
    "extra fields that are no JSON": (
        lambda f: f.sites.update("CDBUGS", extra={"day": date(2024, 1, 15)}),
        "extra must hold JSON values only",
    ),
    "extra fields without names": (
        lambda f: f.sites.update("CDBUGS", extra=["colour"]),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "extra must be a mapping",
    ),
    "no extra field at all": (lambda f: f.sites.update("CDBUGS", extra={}), "nothing to send"),
    "a blank id": (lambda f: f.sites.get(" "), "cannot be an id"),
    "visitors of no site": (lambda f: f.reports.current_visitors(""), "site_id must be a non-empty string"),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED)
async def test_a_wrong_argument_is_refused_before_a_request_is_spent(
    server: FathomServer,
    fathom: FathomClient,
    call: Callable[[FathomClient], Awaitable[object]],
    words: str,
) -> None:
    with pytest.raises(ArgumentError, match=words) as caught:
        await call(fathom)
    assert isinstance(caught.value, ValueError)
    assert server.hits == ()


STRANGE_IDS = ["../account", "..", ".", "", "a/b", "a\\b", "a?b=c", "a#b", "a\nb", "\x00", "a%2Fb"]


@pytest.mark.parametrize("strange", STRANGE_IDS)
async def test_no_id_can_reach_another_endpoint(
    server: FathomServer, fathom: FathomClient, strange: str
) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: fathom.sites.get(strange),
        lambda: fathom.sites.delete(strange),
        lambda: fathom.events.get("CDBUGS", strange),
        lambda: fathom.events.list(strange),
        lambda: fathom.milestones.delete("CDBUGS", strange),
    ]
    for call in calls:
        with pytest.raises(Exception, match=r"cannot be an id|not found|404"):
            await call()
    assert all(hit.path.count("%2525") == 0 and "account" not in hit.path for hit in server.hits)
    assert "/account" not in [hit.path for hit in server.hits]


def test_an_id_with_harmless_characters_is_quoted() -> None:
    assert path("/sites/{}/events/{}", "A B", "ü%2F") == "/sites/A%20B/events/%C3%BC%252F"


async def test_an_id_must_be_a_string(fathom: FathomClient) -> None:
    with pytest.raises(ArgumentError, match="an id must be a string, not 5"):
        await fathom.sites.get(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_a_date_passes_as_text_and_as_a_date(fathom: FathomClient) -> None:
    as_date = await fathom.milestones.create("CDBUGS", name="A", milestone_date=date(2024, 1, 15))
    as_text = await fathom.milestones.create("CDBUGS", name="A", milestone_date="2024-01-15")
    assert as_date.milestone_date == as_text.milestone_date == date(2024, 1, 15)
