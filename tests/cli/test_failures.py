"""How a command ends: one line that says what to do, and a code that scripts can tell apart."""

from urllib.parse import quote

import pytest

from fathom_async import (
    APIError,
    ArgumentError,
    AuthenticationError,
    BudgetError,
    BulkError,
    ConnectError,
    DecodeError,
    NotFoundError,
    Outcome,
    PageviewQuery,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    StoreError,
    TimeoutError,  # noqa: A004 - the package's own,
    WaitTooLongError,
)
from fathom_async._cli.failures import CommandError, ExitCode, TerminatedError, failure_of
from fathom_async.jobs._faults import Fault, JobFileError
from fathom_async.testing import Body, FathomServer, Html, Status

from .command import run
from .conftest import Command

REFUSED = ("GET", "https://api.usefathom.com/v1/sites")


@pytest.mark.parametrize(
    ("error", "code", "advice"),
    [
        (ArgumentError("limit must be 1"), ExitCode.USAGE, "limit must be 1"),
        (
            AuthenticationError(401, "Unauthenticated.", None, *REFUSED),
            ExitCode.UNAUTHENTICATED,
            "`fathom login`",
        ),
        (PermissionDeniedError(403, "No.", None, *REFUSED), ExitCode.UNAUTHENTICATED, "`fathom whoami`"),
        (NotFoundError(404, "No.", None, *REFUSED), ExitCode.NOT_FOUND, "`fathom sites list`"),
        (RateLimitError(429, "Slow down.", None, *REFUSED, 30.0), ExitCode.BUSY, "try again in 30 s"),
        (RateLimitError(429, "Slow down.", None, *REFUSED), ExitCode.BUSY, "try again in a minute"),
        (WaitTooLongError("reports", 30.0, 2.0), ExitCode.BUSY, "wait longer, or try again then"),
        (ServerError(503, "Down.", None, *REFUSED), ExitCode.FAILED, "try again later"),
        (APIError(418, "Teapot.", None, *REFUSED), ExitCode.FAILED, "418"),
        (ConnectError("refused", *REFUSED), ExitCode.FAILED, "check the network and FATHOM_BASE_URL"),
        (TimeoutError("no answer", *REFUSED), ExitCode.FAILED, "try again"),
        (DecodeError("no JSON", *REFUSED), ExitCode.FAILED, "check that FATHOM_BASE_URL"),
        (BudgetError("out of reach"), ExitCode.FAILED, "check FATHOM_BUDGET"),
        (StoreError("the disk is full"), ExitCode.FAILED, "the disk is full"),
        (
            BulkError([Outcome(PageviewQuery("CDBUGS", aggregates=["visits"]), error=StoreError("x"))]),
            ExitCode.SOME_FAILED,
            "run the same command again",
        ),
        (CommandError("stop", ExitCode.SOME_FAILED), ExitCode.SOME_FAILED, "stop"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted"),
        (TerminatedError(), ExitCode.TERMINATED, "terminated"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), ExitCode.FAILED, "x.csv: No such file"),
        (ImportError('x is not installed; pip install "fathom_async[x]"'), ExitCode.FAILED, "pip install"),
        (RuntimeError("surprise"), ExitCode.FAILED, "unexpected RuntimeError: surprise; set FATHOM_DEBUG=1"),
        (ExceptionGroup("", [StoreError("first"), StoreError("second")]), ExitCode.FAILED, "first"),
    ],
)
def test_every_error_has_a_code_and_says_what_to_do(
    error: BaseException, code: ExitCode, advice: str
) -> None:
    failure = failure_of(error)
    assert failure.code == code
    assert advice in failure.message
    assert "\n" not in failure.message


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/v1/sites/NOSITE", "check the ID: `fathom sites list` shows the sites of this token"),
        (
            "/v1/sites/NOSITE/events?limit=10",
            "check the ID: `fathom sites list` shows the sites of this token",
        ),
        (
            "/v1/aggregations?entity_id=NOSITE",
            "check the ID: `fathom sites list` shows the sites of this token",
        ),
        ("/v1/sites/CDBUGS/events/X", "`fathom events list CDBUGS` shows the events of this site"),
        ("/v1/sites/A%20B/milestones/X", "`fathom milestones list 'A B'` shows the milestones of this site"),
        ("/sites", "check FATHOM_BASE_URL: an API's address ends in /v1"),
    ],
)
def test_what_is_not_there_is_looked_up_where_it_would_be(path: str, advice: str) -> None:
    error = NotFoundError(404, "No.", None, "GET", f"https://api.usefathom.com{path}")
    assert failure_of(error).message.endswith(f"; {advice}" if advice.startswith("check") else advice)


def test_all_faults_of_a_job_file_are_told_each_on_its_line() -> None:
    failure = failure_of(JobFileError("jobs.toml", [Fault("job.a", "one"), Fault("job.b", "two\x1b[2J")]))
    assert failure.code == ExitCode.USAGE
    assert len(failure.message.split("\n")) == 3
    assert "\x1b" not in failure.message


def test_what_servers_say_cannot_steer_the_terminal() -> None:
    message = failure_of(NotFoundError(404, "gone\r\n\x1b[2Jnow", None, *REFUSED)).message
    assert message.isprintable()


async def test_a_refused_token(command: Command, fathom_server: FathomServer) -> None:
    fathom_server.inject(Status(401))
    ended = await command("sites", "list", FATHOM_API_TOKEN="very-secret")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.count("\n") == 1
    assert "very-secret" not in ended.err


@pytest.mark.parametrize("status", [401, 403, 422, 500])
async def test_a_server_that_repeats_the_token(
    command: Command, fathom_server: FathomServer, status: int
) -> None:
    words = "denied for Bearer very-secret"
    fathom_server.inject(*[Status(status, {"message": words, "errors": {"token": [words]}})] * 5)
    ended = await command("sites", "get", "CDBUGS", FATHOM_API_TOKEN="very-secret", FATHOM_DEBUG="1")
    assert ended.code in {1, 3}
    assert "denied for Bearer ***" in ended.err
    assert "very-secret" not in ended.err


async def test_a_server_cannot_steer_the_terminal_of_who_looks_for_a_cause(
    command: Command, fathom_server: FathomServer
) -> None:
    fathom_server.inject(Status(401, {"message": "\x1b]0;owned\x07"}))
    ended = await command("sites", "get", "CDBUGS", FATHOM_DEBUG="1")
    assert "owned" in ended.err
    assert "\x1b" not in ended.err


async def test_an_address_that_is_no_api(command: Command, fathom_server: FathomServer) -> None:
    fathom_server.inject(*[Html()] * 10)
    ended = await command("sites", "get", "CDBUGS")
    assert ended.code == 1
    assert ended.err.count("FATHOM_BASE_URL") == 1
    assert "a web page instead of JSON: are the credentials and FATHOM_BASE_URL right?" in ended.err


def test_nobody_listens() -> None:
    env = {"FATHOM_API_TOKEN": "very-secret", "FATHOM_BASE_URL": "http://127.0.0.1:9/v1"}
    ended = run("sites", "get", "CDBUGS", env=env)
    assert (ended.code, ended.out) == (1, "")
    assert "nothing listens there; is FATHOM_BASE_URL right, and the server running?" in ended.err
    assert ended.err.count("\n") == 1
    traced = run("sites", "get", "CDBUGS", env={**env, "FATHOM_DEBUG": "1"})
    assert "Traceback" in traced.err
    assert "very-secret" not in traced.err


def test_plain_http_to_elsewhere_is_refused_before_the_token_leaves() -> None:
    ended = run("sites", "list", env={"FATHOM_API_TOKEN": "x", "FATHOM_BASE_URL": "http://example.com/v1"})
    assert ended.code == 2
    assert "https" in ended.err


async def test_a_debugged_command_shows_no_token(command: Command, fathom_server: FathomServer) -> None:
    token = "12|very-secret/0123456789"
    said = f"no access with Bearer {token}, nor {quote(token, safe='')}"
    fathom_server.inject(
        Status(401, {"message": said, "errors": {token: [said]}}),
        *[Body(f"<html>{said}".encode())] * (1 + RetryPolicy().garbled),
    )
    for _ in range(2):
        ended = await command("whoami", FATHOM_API_TOKEN=token, FATHOM_DEBUG="1")
        assert ended.code != 0
        assert "Traceback" in ended.err
        assert "very-secret" not in ended.err
