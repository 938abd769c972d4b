"""What ``fathom live`` shows, without a terminal."""

import asyncio
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from attrs import evolve
from rich.console import Console

from fathom_async import CurrentVisitors, LaneStatus, LiveVisitors, TransportError
from fathom_async._cli.formatting import ASCII
from fathom_async._cli.live.screen import LiveState, SiteView, draw, line, lines, record, screen
from fathom_async.models import PageVisitors, ReferrerVisitors

NOW = datetime(2026, 11, 21, 14, 3, tzinfo=UTC)
LANE = LaneStatus(limit=10, per=60, used=3, in_flight=0, queued=0, next_slot_in=0)
VISITORS = CurrentVisitors(
    12,
    content=(
        PageVisitors("https://acme.com", "/pricing", 7),
        PageVisitors("https://acme.com", "/\x1b[2J[bold]", 5),
    ),
    referrers=(ReferrerVisitors("https://www.google.com", "/", 3), ReferrerVisitors(None, None, 9)),
)
EMPTY = LiveState({"ACMEAA": SiteView("Acme"), "OTHERA": SiteView("Other")}, 30.0)
HEARD = LiveVisitors("ACMEAA", NOW - timedelta(seconds=4), VISITORS)
BROKEN = LiveVisitors("OTHERA", NOW, error=TransportError("no route"))


def board() -> LiveState:
    return EMPTY.with_(HEARD, None).with_(BROKEN, "no route; check the network")


def drawn(board: LiveState, *, width: int = 80, height: int = 24, lane: LaneStatus = LANE) -> str:
    console = Console(file=StringIO(), width=width, height=height, highlight=False)
    console.print(draw(board, lane, NOW, width, height))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_what_is_heard_replaces_what_was_known_and_an_error_leaves_it() -> None:
    site = board().with_(evolve(BROKEN, site_id="ACMEAA"), "gone").sites["ACMEAA"]
    assert (site.visitors, site.error) == (VISITORS, "gone")
    again = site.with_(evolve(HEARD, visitors=CurrentVisitors(3)), None)
    assert (again.history, again.error) == ((12, 3), None)


def test_the_last_line_says_what_it_waits_for() -> None:
    said = {
        "each site every 30 s; 3 of 10 reports used": LANE,
        "1 request queued; the rate limit admits the next one in 42 s": evolve(
            LANE, queued=1, next_slot_in=42.0
        ),
        "the server asked for a pause; the next request goes in 9 s": evolve(
            LANE, paused_for=8.0, next_slot_in=9.0
        ),
        "the server is away, trying again in 4 s": evolve(LANE, away_for=6.0, retry_in=4.0),
    }
    for words, lane in said.items():
        assert drawn(EMPTY, lane=lane).splitlines()[-1] == f"Ctrl-C quits; {words}"


def test_the_history_forgets_what_is_long_ago() -> None:
    site = SiteView("Acme")
    for total in range(100):
        site = site.with_(evolve(HEARD, visitors=CurrentVisitors(total)), None)
    assert len(site.history) == 60
    assert site.history[-1] == 99


def test_pages_of_several_hosts_have_their_host_and_referrers_are_counted_together() -> None:
    other = CurrentVisitors(
        1,
        (PageVisitors("https://other.org", "/pricing", 1),),
        (ReferrerVisitors("https://www.google.com", "/", 2),),
    )
    assert board().pages()[0] == ("/pricing", 7)
    both = board().with_(LiveVisitors("OTHERA", NOW, other), None)
    assert [page for page, _ in both.pages()] == [
        "acme.com/pricing",
        "acme.com/\x1b[2J[bold]",
        "other.org/pricing",
    ]
    assert both.referrers() == [("(direct)", 9), ("www.google.com", 5)]


def test_the_screen_shows_sites_pages_referrers_and_errors() -> None:
    shown = drawn(board())
    assert "12 visitors right now on 2 sites" in shown
    assert "4 s ago" in shown
    assert "no route; check the network" in shown
    assert "/pricing" in shown
    assert "(direct)" in shown
    assert "each site every 30 s; 3 of 10 reports used" in shown
    assert "\x1b" not in shown, "what visitors wrote cannot steer the terminal"
    assert r"[2J[bold]" in shown


@pytest.mark.parametrize(("width", "height"), [(80, 24), (44, 20), (30, 8), (20, 4), (200, 60)])
def test_it_fits_any_terminal(width: int, height: int) -> None:
    sites = {f"SITE{number}": SiteView(f"A site with a long name, number {number}") for number in range(40)}
    many = LiveState({**board().sites, **sites}, 480.0)
    shown = drawn(many, width=width, height=height).splitlines()
    assert max(map(len, shown)) <= width
    assert len(shown) <= max(height, 7)
    assert "12 visitors" in shown[0]
    assert any(" more" in row for row in shown), "those that do not fit are counted"


def test_an_ascii_terminal() -> None:
    assert b"?" not in drawn(board(), width=100).encode("ascii", ASCII)


def test_before_anything_is_heard() -> None:
    shown = drawn(EMPTY)
    assert "- right now on 2 sites" in shown
    assert shown.count("not yet") == 2


def test_lines_of_text() -> None:
    assert line("ACMEAA", board().sites["ACMEAA"]).endswith(
        r" Acme (ACMEAA): 12 visitors; /pricing 7, /\x1b[2J[bold] 5"
    )
    assert line("OTHERA", board().sites["OTHERA"]) == "Other (OTHERA): no route; check the network"


def test_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(record(HEARD, "Acme", None))
    assert (told["site_id"], told["visitors"], told["error"]) == ("ACMEAA", 12, None)
    assert told["pages"][0] == {"hostname": "https://acme.com", "pathname": "/pricing", "visitors": 7}
    show = lines(as_json=True)
    show(board(), BROKEN)
    assert json.loads(capsys.readouterr().out)["error"] == "no route; check the network"


def test_errors_of_plain_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    show = lines(as_json=False)
    show(board(), HEARD)
    show(board(), BROKEN)
    told = capsys.readouterr()
    assert "12 visitors" in told.out
    assert told.err == "fathom: Other (OTHERA): no route; check the network\n"


async def test_the_screen_is_drawn_anew_when_something_is_heard_or_the_window_changes() -> None:
    file = StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24, color_system=None)

    async def shows(text: str) -> None:
        async with asyncio.timeout(30):
            while text not in file.getvalue():  # noqa: ASYNC110 - it is drawn by a task of its own
                await asyncio.sleep(0)

    async with screen(console, EMPTY, lambda: LANE, frame=3600.0) as show:
        await shows("not yet")
        show(board(), HEARD)
        await shows("12 visitors")
        file.truncate(file.seek(0))
        console.width = 30
        os.kill(os.getpid(), signal.SIGWINCH)
        await shows("Ctrl-C quits; each site every…")
    assert "\x1b[?1049l" in file.getvalue(), "the other screen is left"
    assert "\x1b[?25h" in file.getvalue(), "the cursor is back"
