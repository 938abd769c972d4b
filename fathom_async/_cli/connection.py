"""A client as the environment and the keyring describe it, and the event loop that commands run in."""

import asyncio
import importlib.util
import logging
import os
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from fathom_async import ConfigurationError, FathomClient, Priority, RetryPolicy
from fathom_async._cli.credentials import TOKEN, address, find_token
from fathom_async._cli.failures import DEBUG, TerminatedError
from fathom_async._cli.formatting import duration
from fathom_async._cli.output import note
from fathom_async._cli.progress import telling
from fathom_async._cli.settings import BUDGET, VERBOSE
from fathom_async._cli.tracing import Trace
from fathom_async._util.text import one_line
from fathom_async.telemetry import Event, Paused, Retried

T = TypeVar("T")

FOR_A_PERSON: Final = RetryPolicy(outage=5)
"""How commands that a person waits for retry: a server that is away fails them soon."""


def run_async(main: Callable[[], Coroutine[object, object, T]]) -> T:
    """Run a command's coroutine to its end.

    Ctrl-C cancels it, waits for its cleanup, and raises `KeyboardInterrupt` here; a second one does not wait. SIGTERM
    does the same with `TerminatedError`, so that the terminal is restored.
    """
    is_terminated = False

    def terminate(task: "asyncio.Task[object]") -> None:
        nonlocal is_terminated
        is_terminated = True
        task.cancel()

    async def terminable() -> T:
        task = asyncio.current_task()
        # Windows has no such signal, and only the main thread may handle it.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            if task is not None:
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate, task)
        return await main()

    try:
        return asyncio.run(terminable())
    except asyncio.CancelledError:
        if is_terminated:
            raise TerminatedError from None
        raise


@asynccontextmanager
async def connect(
    *, retry: RetryPolicy = FOR_A_PERSON, is_onlooker: bool = False
) -> AsyncGenerator[FathomClient, None]:
    """Open a client with the token of the environment or of the keyring, and close it in the end.

    A person waits for a command, so its requests are interactive.

    ``FATHOM_BASE_URL``, ``FATHOM_BUDGET`` and ``FATHOM_PLAN`` (or ``--plan``) apply too, and the network's variables.
    Without ``FATHOM_BUDGET``, all commands of a user share a file, so that the server refuses none of them.

    All retries but `FOR_A_PERSON` wait for a server that is away, and say so. An onlooker sends nothing: it creates
    no budget file, which other users' programs might be unable to open.
    """
    _quieten_log()
    token = find_token(os.environ).token
    environ = {**os.environ, TOKEN: token}
    is_given = BUDGET in environ
    if not is_given:
        environ[BUDGET] = own_budget(environ, token)
    if is_onlooker and is_unused(environ[BUDGET]):
        del environ[BUDGET]
    on_event = Trace() if os.environ.get(VERBOSE) else None if retry is FOR_A_PERSON else _note_outage
    open_client = partial(FathomClient.from_env, retry=retry, on_event=on_event)
    try:
        client = open_client(environ)
    except ConfigurationError as error:
        if is_given or not environ.get(BUDGET):
            raise
        note(one_line(f"no rate limits are shared with other commands: {error}; {BUDGET}= turns this off"))
        client = open_client({**environ, BUDGET: ""})
    async with client as fathom:
        yield fathom.with_options(priority=Priority.INTERACTIVE)


def own_budget(environ: Mapping[str, str], token: str) -> str:
    """Return the URL of the file by which a user's commands share the limits of an account; empty on Windows.

    Its name is a hash, from which nobody learns the token.
    """
    if not importlib.util.find_spec("fcntl"):
        return ""
    state = Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state").absolute() / "fathom"
    with suppress(OSError):  # opening the file then fails, too
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = f"{address(environ)} {token}".encode()
    return (state / f"{blake2b(key, digest_size=16, person=b'fathom account').hexdigest()}.budget").as_uri()


def is_unused(budget: str) -> bool:
    """Whether the URL of a budget names a file that no program has made yet."""
    where = urlsplit(budget)
    is_file = where.scheme == "file" and not where.netloc and where.path.startswith("/")
    return is_file and not Path(unquote(where.path)).exists()


def call(ask: Callable[[FathomClient], Coroutine[object, object, T]]) -> T:
    """Open a client, await one coroutine with it, and return its result; a terminal shows what it waits for."""

    async def connected() -> T:
        async with connect() as fathom, telling(fathom):
            return await ask(fathom)

    return run_async(connected)


def _note_outage(event: Event) -> None:
    match event:
        case Paused(seconds=seconds, reason="away"):
            pass
        case Retried(delay=seconds, attempt=attempt) if attempt >= RetryPolicy().attempts and seconds:
            pass
        case _:
            return
    note(f"the server is away, trying again in {duration(seconds)}")


class _Warnings(logging.Handler):
    """Writes each kind of warning once, since a full disk fails every answer.

    Commands show events themselves, and the errors with which they end.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kinds = set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        is_shown = record.module == "telemetry" or record.levelno > logging.WARNING
        if str(record.msg) not in self._kinds and not is_shown:
            self._kinds.add(str(record.msg))
            note(record.getMessage())


def _quieten_log() -> None:
    """Show no more of the log than warnings, unless ``FATHOM_DEBUG`` asks for it."""
    log = logging.getLogger("fathom_async")
    if not log.handlers:
        log.addHandler(logging.StreamHandler() if os.environ.get(DEBUG) else _Warnings())
