"""``fathom whoami``."""

import os

from fathom_async import Account, FathomClient, PermissionDeniedError, Token
from fathom_async._cli.connection import call
from fathom_async._cli.credentials import address, find_token
from fathom_async._cli.output import STANDARD, Kind, OutputOptions, records, write

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
    """Show the account and what the token may do.

    Args:
        output: Where it goes, and how.
    """
    output.check()
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
    write(records(_COLUMNS, [row], is_single=True), output)


async def _ask(fathom: FathomClient) -> tuple[Account | None, Token]:
    return await _account(fathom), await fathom.token.get()


async def _account(fathom: FathomClient) -> Account | None:
    try:
        return await fathom.account.get()
    except PermissionDeniedError:  # only a token of full access may see it
        return None
