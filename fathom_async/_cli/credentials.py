"""The API token: from the environment, a file, or the system's keyring; never from the command line."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, Literal

from attrs import field, frozen

from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._util.secrets import read_token
from fathom_async.errors import ConfigurationError

SERVICE: Final = "fathom_async"
TOKEN: Final = "FATHOM_API_TOKEN"  # noqa: S105 - its name
TOKEN_FILE: Final = "FATHOM_API_TOKEN_FILE"  # noqa: S105
BASE_URL: Final = "FATHOM_BASE_URL"
_DEFAULT_URL: Final = "https://api.usefathom.com/v1"
_WHERE = "https://app.usefathom.com/api"
_INSTEAD: Final = f"set {TOKEN}, or {TOKEN_FILE} to a file that only you can read"
_NO_KEYRING: Final = f"this system has no keyring; {_INSTEAD}"


@frozen
class Credential:
    """A token, and where it was found."""

    token: str = field(repr=False)
    source: Literal["environment", "file", "keyring"]


def find_token(environ: Mapping[str, str]) -> Credential:
    """Return the token of the environment, or else of the file that it names, or else of the keyring."""
    if token := environ.get(TOKEN):
        return Credential(token, "environment")
    if file := environ.get(TOKEN_FILE):
        try:
            return Credential(read_token(file), "file")
        except ConfigurationError as error:
            raise CommandError(f"no token: {error}", ExitCode.UNAUTHENTICATED) from None
    try:
        with _keyring() as ring:
            kept: str | None = ring.get_password(SERVICE, address(environ))
    except CommandError as error:
        raise CommandError(f"no token: {error}", ExitCode.UNAUTHENTICATED) from None
    if not kept:
        raise CommandError(
            f"no token: run `fathom login`, or set {TOKEN}, with a token from {_WHERE}",
            ExitCode.UNAUTHENTICATED,
        )
    return Credential(kept, "keyring")


def check_keyring(environ: Mapping[str, str]) -> str | None:
    """Check that a token can be stored, before anybody is asked for one; return a warning, if there is one."""
    with _keyring() as ring:
        ring.get_password(SERVICE, address(environ))
        backend = ring.get_keyring()
        first = next(iter(getattr(backend, "backends", ())), backend)  # a chainer stores in the first
        if type(first).__module__ == "keyring.backends.null":  # which keeps nothing, and says nothing of it
            raise CommandError(_NO_KEYRING)
        is_plain = "plaintext" in type(first).__name__.lower()
        place: str = getattr(first, "file_path", "a file")
        return (
            f"{first.name} does not encrypt: anybody who can read {place} has the token" if is_plain else None
        )


def store_token(environ: Mapping[str, str], token: str) -> str:
    """Store a token in the keyring, and return the keyring's name."""
    with _keyring() as ring:
        ring.set_password(SERVICE, address(environ), token)
        return str(ring.get_keyring().name)


def remove_token(environ: Mapping[str, str]) -> bool:
    """Remove the token from the keyring; return whether there was one."""
    with _keyring() as ring:
        if ring.get_password(SERVICE, address(environ)) is None:
            return False
        ring.delete_password(SERVICE, address(environ))
    return True


def address(environ: Mapping[str, str]) -> str:
    """Return the API's address; a stored token belongs to one address, and is never sent to another."""
    return (environ.get(BASE_URL) or _DEFAULT_URL).rstrip("/")


@contextmanager
def _keyring() -> Generator[Any]:  # a module that may not be there has no type
    try:
        ring = import_module("keyring")
        errors = import_module("keyring.errors")
    except ModuleNotFoundError:
        raise CommandError(
            f'keyring is not installed; pip install "fathom_async[cli]", or {_INSTEAD}'
        ) from None
    try:
        yield ring
    except errors.NoKeyringError:
        raise CommandError(_NO_KEYRING) from None
    except errors.KeyringLocked:
        raise CommandError(f"the keyring is locked; unlock it, or {_INSTEAD}") from None
    except errors.KeyringError as error:
        raise CommandError(f"the keyring failed: {error}; {_INSTEAD}") from None
