"""``fathom watch``."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from fathom_async import FathomClient, FathomError, Priority, Progress, RetryPolicy
from fathom_async._cli.bulk.eta import reporting
from fathom_async._cli.connection import connect, run_async
from fathom_async._cli.failures import CommandError, ExitCode, failure_of
from fathom_async._cli.output import note
from fathom_async._cli.progress import telling
from fathom_async._cli.settings import STORE, WEBHOOK
from fathom_async._util.text import counted, printable, printable_json
from fathom_async.store import ReportStore, open_store
from fathom_async.watch import Alert, Rule, WatchResult, check, load_rules, webhook
from fathom_async.watch import replay as look_back

_LEAST: Final = timedelta(minutes=1)


def watch(
    rules: Path,
    /,
    *,
    every: timedelta | None = None,
    replay: timedelta | None = None,
    store: str | None = None,
) -> int:
    """Tell what is unusual in the periods that ended since the last time, each alert once.

    Alerts go to the URL of FATHOM_WEBHOOK, or else to standard output: in words to a terminal, and as JSON lines
    elsewhere.

    Args:
        rules: The rules, in TOML.
        every: Go on, and check so often: 15m, 1h. Otherwise check once, as for cron.
        replay: Show the alerts that this time until now would have had: 90d. Nothing is sent to the webhook.
        store: Store of answers, and of what was told: a path or redis://host:6379/0; by default FATHOM_STORE, or
            rules.db beside rules.toml.
    """
    if every and replay:
        raise CommandError("--every and --replay exclude each other", ExitCode.USAGE)
    for name, span in {"every": every, "replay": replay}.items():
        if span is not None and span < _LEAST:
            raise CommandError(f"--{name} must be a minute at least, such as 1h", ExitCode.USAGE)
    try:
        found = load_rules(rules)
    except FileNotFoundError:
        raise CommandError(
            f"no such file: {rules}; docs/watch.md describes the format", ExitCode.USAGE
        ) from None
    where = store or os.environ.get(STORE) or str(rules.with_suffix(".db"))
    try:
        return run_async(partial(_watch, found, where, every, replay))
    except KeyboardInterrupt:
        if every is None:
            raise
        return ExitCode.OK  # Ctrl-C and SIGTERM end it as they should


async def _watch(rules: Sequence[Rule], where: str, every: timedelta | None, over: timedelta | None) -> int:
    async with AsyncExitStack() as stack:
        fathom = await stack.enter_async_context(connect(retry=RetryPolicy()))
        store = await stack.enter_async_context(open_store(where))
        if over is not None:
            past = await _replay(fathom, rules, over, store)
            for alert in past.alerts:
                await _write(alert)
            return _end(rules, past)
        url = os.environ.get(WEBHOOK)
        tell = await stack.enter_async_context(webhook(url)) if url else _write
        while True:
            try:
                async with telling(fathom, is_drawn=False):  # what is drawn would get hold of the alerts
                    code = _end(rules, await check(fathom, rules, tell, store=store))
            except FathomError as error:
                if every is None:
                    raise
                note(failure_of(error).message, is_error=True)
                code = ExitCode.FAILED
            if every is None:
                return code
            await asyncio.sleep(every.total_seconds())


async def _replay(
    fathom: FathomClient, rules: Sequence[Rule], over: timedelta, store: ReportStore
) -> WatchResult:
    # Its place in the queue tells the time left.
    asking = fathom.with_options(priority=Priority.BULK, flow="replay")
    async with telling(asking) as stop, reporting(asking) as show:

        def on_progress(progress: Progress) -> None:
            stop()
            show(progress)

        return await look_back(asking, rules, over, store=store, on_progress=on_progress)


async def _write(alert: Alert) -> None:
    told = printable_json(json.dumps(alert.to_dict(), ensure_ascii=False))
    print(printable(alert.text) if sys.stdout.isatty() else told, flush=True)  # noqa: T201 - what is written is told


def _end(rules: Sequence[Rule], result: WatchResult) -> ExitCode:
    """Tell what came of the rules, and return the exit code."""
    for rule, why in result.lacking.items():
        note(printable(f"{rule.name}, {rule.site_id}: {why}"))
    for rule, error in result.errors.items():
        note(printable(f"{rule.name}, {rule.site_id}: {failure_of(error).message}"), is_error=True)
    note(f"{counted(len(rules), 'rule')}, {counted(len(result.alerts), 'alert')}")
    return ExitCode.SOME_FAILED if result.errors else ExitCode.OK
