"""``fathom whoami``, ``login`` and ``logout``: the account, and the token in the system's keyring."""

import os
from contextlib import suppress

from fathom_async import Account, FathomClient, PermissionDeniedError, Token
from fathom_async._cli.connection import FOR_A_PERSON, call, run_async
from fathom_async._cli.credentials import (
    TOKEN,
    TOKEN_FILE,
    address,
    check_keyring,
    find_token,
    remove_token,
    store_token,
)
from fathom_async._cli.output import STANDARD, Kind, OutputOptions, Records, note, write
from fathom_async._cli.prompts import secret
from fathom_async._util.text import one_line

_COLUMNS: dict[str, Kind] = {
    "account": "text",
    "email": "text",
    "token": "text",
    "abilities": "texts",
    "expires_at": "moment",
    "last_used_at": "moment",
    "token_from": "text",
    "address": "text",
}


def whoami(*, output: OutputOptions = STANDARD) -> None:
    """Show the account and what the token may do."""
    output.check(_COLUMNS)
    account, token = call(_ask)
    row = (
        None if account is None else account.name,
        None if account is None else account.email,
        token.name,
        token.abilities,
        token.expires_at,
        token.last_used_at,
        find_token(os.environ).source,
        address(os.environ),
    )
    write(Records(_COLUMNS, [row], is_single=True), output)


async def _ask(fathom: FathomClient) -> tuple[Account | None, Token]:
    account = None
    with suppress(PermissionDeniedError):  # only a token of full access may see it
        account = await fathom.account.get()
    return account, await fathom.token.get()


def login() -> None:
    """Store an API token in the system's keyring, after trying it.

    The token is read from a prompt without echo, or from a pipe; the shell's history and other users would see an
    argument.
    """
    if warning := check_keyring(os.environ):
        note(one_line(warning))
    typed = secret("API token, from https://app.usefathom.com/api (nothing shows while you type)")

    async def tried() -> Token:
        async with FathomClient.from_env({**os.environ, TOKEN: typed}, retry=FOR_A_PERSON) as fathom:
            return await fathom.token.get()

    token = run_async(tried)
    ring = store_token(os.environ, typed)
    note(one_line(f"stored the token {token.name!r} for {address(os.environ)} in {ring}"))
    for name in (TOKEN, TOKEN_FILE):
        if os.environ.get(name):
            note(f"{name} is set and overrides it; unset it to use the stored token")


def logout() -> None:
    """Remove the API token from the system's keyring; it stays valid until you delete it at Fathom."""
    where = address(os.environ)
    if remove_token(os.environ):
        note(f"removed the token for {where}; to revoke it, delete it at https://app.usefathom.com/api")
    else:
        note(f"no token is stored for {where}")
