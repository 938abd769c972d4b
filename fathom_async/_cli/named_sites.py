"""Sites named on the command line: by their ID, or by the name or domain that a list of all sites tells.

A list takes one request per hundred sites. The store of ``FATHOM_STORE``, if there is one, keeps it for a day, for
commands that only read: one that changes something never acts on a name that has moved on to another site.
"""

import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fathom_async import FathomClient, FathomError, PermissionDeniedError
from fathom_async._cli.connection import call, run_async
from fathom_async._cli.credentials import address, find_token
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.settings import SITE, STORE
from fathom_async._util.checks import suggestion
from fathom_async.store import CacheEntry, namespace, open_store

_ID: Final = re.compile(r"[A-Z]{5,12}")
_AROUND: Final = re.compile(r"^(https?://)?(www\.)?|/$")
_DEFAULT: Final = "."
_KNOWN_FOR: Final = 86_400.0


def site_id(named: str | None, *, is_read: bool = False) -> str:
    """Return the ID of a site, by default the one of ``FATHOM_SITE``; see `site_ids`."""
    return site_ids([_DEFAULT if named is None else named], is_read=is_read)[0]


def site_ids(named: Sequence[str], *, is_read: bool = False) -> list[str]:
    """Return the IDs of sites by their names, domains or IDs; only the first two send a request.

    Of the names, ``.`` is the site of ``FATHOM_SITE``; they may come from the store if the command only reads.
    """
    words = [_default() if word == _DEFAULT else word for word in named]
    if not all(map(str.strip, words)):
        raise CommandError("the name of a site is empty", ExitCode.USAGE)
    if all(map(_ID.fullmatch, words)):
        return words
    if is_read and (kept := known_sites()):
        try:
            return [_called(word, kept) for word in words]
        except CommandError:
            pass  # the site may be new
    try:
        found = call(_names)
    except PermissionDeniedError:
        raise CommandError(
            f"this token may not list sites, so that {', '.join(words)} must be an ID, such as CDBUGS",
            ExitCode.UNAUTHENTICATED,
        ) from None
    return [_called(word, found) for word in words]


def known_sites() -> Mapping[str, str]:
    """Return the names of sites by ID, as the store has kept them; none without a store."""
    store = os.environ.get(STORE)

    async def read() -> Mapping[str, str]:
        async with open_store(store or "memory://") as opened:
            entry = (await opened.get_many([_key()])).get(_key())
            return {} if entry is None else msgspec.json.decode(entry.body, type=dict[str, str])

    try:
        return run_async(read) if store else {}
    except (FathomError, msgspec.MsgspecError):
        return {}


async def _names(fathom: FathomClient) -> dict[str, str]:
    found = {site.id: site.name async for site in fathom.sites.list()}
    if store := os.environ.get(STORE):
        now = time.time()
        async with open_store(store) as opened:
            entry = CacheEntry(msgspec.json.encode(found), now, drop_after=now + _KNOWN_FOR)
            await opened.put_many({_key(): entry})
    return found


def _called(word: str, names: Mapping[str, str]) -> str:
    """Return the ID of the only site that is called so."""
    folded = word.casefold()
    found = [each for each, name in names.items() if folded in {each.casefold(), name.casefold()}]
    found = found or [each for each, name in names.items() if _domain(name) == _domain(word)]
    if len(found) == 1:
        return found[0]
    told = "; `fathom sites list` shows its sites"
    if found:
        told = f", but {len(found)} are: name one by its ID, {' or '.join(found)}"
        raise CommandError(f"no single site is called {word!r}{told}", ExitCode.NOT_FOUND)
    close = suggestion(word, [*names, *names.values()])
    close = close if "did you mean" in close else ""
    raise CommandError(f"this token has no site {word}{close}{told}", ExitCode.NOT_FOUND)


def _domain(name: str) -> str:
    return _AROUND.sub("", name.casefold())


def _default() -> str:
    if site := os.environ.get(SITE):
        return site
    raise CommandError(
        f'name a site, or set {SITE} or site = "…" in `fathom config`; `fathom sites list` shows the sites',
        ExitCode.USAGE,
    )


def _key() -> str:
    return namespace(address(os.environ), f"names of sites, for {find_token(os.environ).token}")
