"""The client's settings, views and lifecycle."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from fathom_async import (
    ArgumentError,
    ConfigurationError,
    DecodeError,
    FathomClient,
    NotFoundError,
    Priority,
    RateLimit,
    RatePlan,
    WaitTooLongError,
)
from fathom_async.connectors import SecodaClient
from fathom_async.testing import FathomServer, LaravelWindow
from tests.conftest import until

NETWORK = {"FATHOM_API_TOKEN": "any", "FATHOM_MAX_HEADER": "100", "FATHOM_MAX_CONNECTIONS": "2"}


async def test_the_environment_sets_the_limits_of_the_network_unless_they_are_given(
    server: FathomServer,
) -> None:
    environ = NETWORK | {"FATHOM_BASE_URL": server.url}
    async with FathomClient.from_env(environ | {"FATHOM_MAX_HEADER": "10"}) as fathom:
        with pytest.raises(DecodeError, match="over 10 bytes; set max_header"):
            await fathom.sites.get("CDBUGS")
    async with FathomClient.from_env(environ, max_header=10_000) as fathom:
        assert (await fathom.sites.get("CDBUGS")).id == "CDBUGS"
    async with aiohttp.ClientSession() as session, FathomClient.from_env(environ, session=session) as fathom:
        assert (await fathom.sites.get("CDBUGS")).id == "CDBUGS"


@pytest.mark.parametrize("name", ["FATHOM_MAX_HEADER", "FATHOM_MAX_CONNECTIONS"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", " 5"])
def test_a_limit_in_the_environment_that_is_no_number_is_named(name: str, value: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"{name} must be a whole number of at least 1, not {value!r}"
    ):
        FathomClient.from_env(NETWORK | {name: value})


async def test_a_client_made_from_the_environment(server: FathomServer) -> None:
    environ = {"FATHOM_API_TOKEN": "any", "FATHOM_BASE_URL": server.url}
    async with FathomClient.from_env(environ) as fathom:
        assert (await fathom.account.get()).name == "Homer Simpson"


def test_the_environment_must_name_a_token() -> None:
    with pytest.raises(ArgumentError, match="set FATHOM_API_TOKEN"):
        FathomClient.from_env({})


async def test_the_token_may_be_in_a_file(server: FathomServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    found = {"FATHOM_API_TOKEN_FILE": str(file), "FATHOM_BASE_URL": server.url}
    async with FathomClient.from_env(found) as fathom:
        assert (await fathom.account.get()).name == "Homer Simpson"
    file.unlink()
    FathomClient.from_env(found | {"FATHOM_API_TOKEN": "goes-first"})


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff", None])
def test_a_file_without_a_token_is_named(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=re.escape(str(file))):
        FathomClient.from_env({"FATHOM_API_TOKEN_FILE": str(file)})


@pytest.mark.parametrize(
    "base_url",
    [
        *(
            "https://homer:s3cret@host:port/v1",
            "https://homer:s3cret@ho st",
            "homer:s3cret@host",
            "https:/:s3cret@h",
        ),
        *(
            "https://h ost?password=s3cret",
            "h#s3cret",
            "https://a:s3cr?et@b@s3cret@h:99999",
            "ftp://s3cret@host",
        ),
        b"https://homer:s3cret@host",
    ],
)
def test_a_base_url_that_is_none_shows_no_password(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a URL") as caught:
        FathomClient("any", base_url=base_url)
    assert "s3cr" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize("name", ["tokn", "is_refusal", "limits", "authorization"])
def test_an_argument_that_is_none_is_refused_as_python_does(name: str) -> None:
    with pytest.raises(TypeError, match=rf"FathomClient\(\) got an unexpected keyword argument '{name}'"):
        FathomClient("any", **{name: 1})  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ümlaut", None])
def test_a_token_that_cannot_be_one_is_refused(token: str) -> None:
    with pytest.raises(ArgumentError, match=r"the token, as created at .*, (must be a string|is missing)"):
        FathomClient(token)


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("http://api.usefathom.com/v1", "plain http to api.usefathom.com"),
        ("http://10.0.0.1/v1", "plain http"),
        ("http://127.0.0.1.evil.example/v1", "plain http"),
        ("ftp://api.usefathom.com", "is not a URL"),
        ("api.usefathom.com/v1", "is not a URL"),
        ("https://h:99999", "is not a URL"),
        ("https://exa mple.com", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://user:pw@api.usefathom.com", "no user"),
        ("https://api.usefathom.com/v1?x=1", "no user, query or fragment"),
        ("https://api.usefathom.com/v1?", "no user, query or fragment"),
        ("https://api.usefathom.com/v1#", "no user, query or fragment"),
        ("https://@api.usefathom.com/v1", "no user"),
        ("https://api..usefathom.com/v1", "is not a URL"),
        ("https://.usefathom.com/v1", "is not a URL"),
        (f"https://{'a' * 64}.com/v1", "is not a URL"),
        (None, "None is not a URL"),
        (b"https://api.usefathom.com/v1", "is not a URL"),
    ],
)
def test_a_base_url_that_would_leak_the_token_is_refused(base_url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        FathomClient("any", base_url=base_url)


@pytest.mark.parametrize("key", [5, "", " ", b"account"])
def test_a_budget_key_that_is_no_name_is_refused_at_once(key: str) -> None:
    with pytest.raises(ConfigurationError, match="budget_key must be a name, such as that of the account"):
        SecodaClient("any", budget_key=key)


async def test_a_404_says_that_the_base_url_lacks_its_version(server: FathomServer) -> None:
    for url in (server.url, server.url + "/", server.url.removesuffix("/v1"), server.url.removesuffix("v1")):
        async with FathomClient("any", base_url=url) as fathom:
            with pytest.raises(NotFoundError) as caught:
                await fathom.sites.get("NOSUCH")
            told = re.findall(r"The base URL has no /v1: is it (\S+)\?", str(caught.value))
            assert told == ([] if "v1" in url else [server.url])


@pytest.mark.parametrize("extra", ["", "/", "//"])
async def test_a_slash_at_the_end_of_the_base_url_makes_no_difference(
    server: FathomServer, extra: str
) -> None:
    async with FathomClient("any", base_url=server.url + extra) as fathom:
        assert (await fathom.sites.get("CDBUGS")).id == "CDBUGS"


@pytest.mark.parametrize(
    "base_url", ["http://localhost:1/v1/", "http://[::1]:1/v1", "https://example.com/api"]
)
async def test_https_and_this_machine_are_fine(base_url: str) -> None:
    async with FathomClient("any", base_url=base_url) as fathom:
        assert fathom.limits["crud"].used == 0


async def test_a_view_shares_session_and_lanes_and_does_not_close_them(fathom: FathomClient) -> None:
    async with fathom.with_options(priority=Priority.INTERACTIVE, max_wait=2.0, timeout=5.0) as urgent:
        await urgent.sites.get("CDBUGS")
    assert (await fathom.sites.get("CDBUGS")).id == "CDBUGS"
    assert fathom.limits["crud"].used == 2


async def test_options_of_views_add_up(fathom: FathomClient) -> None:
    view = fathom.with_options(max_wait=0.0).with_options(timeout=5.0)
    for _ in range(10):
        await view.reports.current_visitors("CDBUGS")
    with pytest.raises(WaitTooLongError, match="max_wait=0 s") as caught:
        await view.reports.current_visitors("CDBUGS")
    assert 50 < caught.value.eta < 62
    patient = view.with_options(max_wait=None)
    assert patient.limits["reports"].queued == 0


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": None},
        {"timeout": "5"},
        {"timeout": float("nan")},
        {"max_wait": -1},
        {"max_wait": "a"},
        {"priority": "urgent"},
        {"priority": 7},
    ],
)
async def test_an_option_that_makes_no_sense_is_refused(
    fathom: FathomClient, options: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"seconds|Priority"):
        fathom.with_options(**options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_what_cannot_be_a_lane_a_number_or_a_time_is_refused(fathom: FathomClient) -> None:
    with pytest.raises(ArgumentError, match="lane must be one of crud, reports"):
        fathom.eta(lane="report")
    for requests in (0, -3, 2.5):
        with pytest.raises(ArgumentError, match="requests must be a whole number of at least 1"):
            fathom.eta(requests)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="seconds must be"):
        fathom.pause(-1)


async def test_limits_and_eta_tell_what_a_lane_looks_like(fathom: FathomClient) -> None:
    idle = fathom.limits["reports"]
    assert (idle.limit, idle.per, idle.used, idle.in_flight, idle.queued, idle.next_slot_in) == (
        10,
        60,
        0,
        0,
        0,
        0,
    )
    assert fathom.eta(10) == 0
    assert fathom.eta(11) == pytest.approx(61, abs=1)
    assert fathom.eta(25) == pytest.approx(122, abs=1)
    assert fathom.eta(2000, lane="crud") == 0


async def test_an_hourly_plan_is_one_lane_with_a_cap() -> None:
    shared = LaravelWindow(600, per=3600)
    async with (
        FathomServer(crud_throttle=shared, reports_throttle=shared, concurrency=5) as server,
        FathomClient("any", base_url=server.url, plan=RatePlan.hourly(600, concurrency=5)) as fathom,
    ):
        await fathom.sites.get("CDBUGS")
        await fathom.reports.current_visitors("CDBUGS")
        assert fathom.limits["crud"] == fathom.limits["reports"]
        assert fathom.limits["crud"].used == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: RateLimit(0, per=60),
        lambda: RateLimit(10, per=0),
        lambda: RateLimit(10, per=60, burst=11),
        lambda: RatePlan(concurrency=0),
        lambda: RatePlan(reserve=10),
    ],
)
def test_a_plan_that_cannot_be_one_is_refused(make: type[RatePlan]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        make()


def test_importing_the_package_does_not_import_aiohttp() -> None:
    script = "import sys, fathom_async; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_client_shows_itself_without_an_event_loop_too() -> None:
    async def opened() -> FathomClient:
        return FathomClient("any")

    fathom = asyncio.run(opened())
    assert "<Lane reports ?/10 used, 0 in flight, 0 queued>" in repr(fathom)


async def test_options_may_be_taken_back(server: FathomServer) -> None:
    async with FathomClient("any", base_url=server.url) as fathom:
        tab = fathom.with_options(flow="tab", max_wait=1).with_options(flow=None, max_wait=None)
        assert (await tab.sites.get("CDBUGS")).id == "CDBUGS"


async def test_a_notebook_shows_the_lanes_and_a_page_of_a_list(server: FathomServer) -> None:
    async with FathomClient("s3cret", base_url=server.url) as fathom:
        await fathom.sites.create(name="<script>alert(1)</script>")
        [everything, first] = [await fathom.sites.list(), await fathom.sites.list(limit=1)]
        pages = [page._repr_html_() or "" for page in (everything, first)]  # pyright: ignore[reportPrivateUsage]
        lanes = fathom._repr_html_() or ""  # pyright: ignore[reportPrivateUsage]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in pages[0]
    assert "<script" not in pages[0]
    assert ["more on the next page" in page for page in pages] == [False, True]
    assert 'left">crud</td><td>3</td><td>2,000</td><td>3,600</td><td>0</td><td>0</td><td>0</td>' in lanes
    assert "s3cret" not in lanes


def test_a_client_is_shown_outside_of_an_event_loop_too() -> None:
    assert FathomClient("any")._repr_html_() is None  # pyright: ignore[reportPrivateUsage]
    assert "?/10 used" in repr(FathomClient("any"))


async def test_a_client_and_its_lists_show_what_one_needs_to_see_and_no_secret(server: FathomServer) -> None:
    async with FathomClient("s3cret", base_url=server.url) as fathom:
        fathom.pause(60)
        waiting = asyncio.create_task(fathom.reports.current_visitors("CDBUGS"))
        await until(lambda: fathom.limits["reports"].queued == 1)
        reports = "<Lane reports 0/10 used, 0 in flight, 1 queued>"
        assert repr(fathom) == f"<FathomClient: <Lane crud 0/2,000 used, 0 in flight, 0 queued>, {reports}>"
        assert repr(fathom.sites.list(limit=5)).startswith("<Listing of /sites?limit=5: await it")
        waiting.cancel()
    assert repr(fathom).startswith("<FathomClient (closed): ")
    assert "s3cret" not in repr(fathom)
