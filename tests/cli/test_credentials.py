"""Where the token comes from: the environment, then the keyring of the system."""

import json
from pathlib import Path

import pytest

from fathom_async._cli.credentials import Credential
from fathom_async.testing import FathomServer, Status

from .conftest import Command

RING = "file_keyring.FileKeyring"
LOCKED = "file_keyring.LockedKeyring"


async def test_login_keeps_a_token_that_was_tried_and_logout_forgets_it(command: Command) -> None:
    login = await command("login", typed="secret-token\n", PYTHON_KEYRING_BACKEND=RING, FATHOM_API_TOKEN="")
    assert (login.code, login.out) == (0, "")
    assert "fathom: stored the token" in login.err
    assert "secret-token" not in login.err
    who = await command("whoami", PYTHON_KEYRING_BACKEND=RING, FATHOM_API_TOKEN="")
    assert json.loads(who.out)["token_from"] == "keyring"
    assert (await command("logout", PYTHON_KEYRING_BACKEND=RING)).code == 0
    after = await command("whoami", PYTHON_KEYRING_BACKEND=RING, FATHOM_API_TOKEN="")
    assert after.code == 3
    assert after.err.startswith("fathom: no token: run `fathom login`, or set FATHOM_API_TOKEN")
    assert "no token is stored" in (await command("logout", PYTHON_KEYRING_BACKEND=RING)).err


async def test_the_token_is_typed_unseen(command: Command) -> None:
    ended = await command.in_terminal(
        "login",
        acts=((r"nothing shows while you type\): ", "secret-token\n"),),
        PYTHON_KEYRING_BACKEND=RING,
    )
    assert ended.code == 0
    assert "secret-token" not in ended.out
    assert "FATHOM_API_TOKEN is set and overrides it" in ended.out


async def test_a_kept_token_goes_to_no_other_address(command: Command, tmp_path: Path) -> None:
    await command("login", typed="secret-token\n", PYTHON_KEYRING_BACKEND=RING)
    elsewhere = await command(
        "sites",
        "list",
        PYTHON_KEYRING_BACKEND=RING,
        FATHOM_API_TOKEN="",
        FATHOM_BASE_URL="http://127.0.0.1:9/v1",
    )
    assert elsewhere.code == 3
    assert "secret-token" in (tmp_path / "keyring.json").read_text()


async def test_a_token_that_is_refused_is_not_kept(
    command: Command, fathom_server: FathomServer, tmp_path: Path
) -> None:
    fathom_server.inject(Status(401))
    ended = await command("login", typed="wrong\n", PYTHON_KEYRING_BACKEND=RING)
    assert ended.code == 3
    assert "401 Unauthorized" in ended.err
    assert not (tmp_path / "keyring.json").exists()


async def test_systems_without_a_keyring_are_told_what_to_do(command: Command) -> None:
    ended = await command("sites", "list", FATHOM_API_TOKEN="")
    assert ended.code == 3
    assert ended.err == (
        "fathom: no token: this system has no keyring; set FATHOM_API_TOKEN, or FATHOM_API_TOKEN_FILE to a file that "
        "only you can read\n"
    )
    locked = await command("sites", "list", FATHOM_API_TOKEN="", PYTHON_KEYRING_BACKEND=LOCKED)
    assert locked.code == 3
    assert "the keyring is locked" in locked.err


async def test_login_asks_for_no_token_that_it_cannot_keep(
    command: Command, fathom_server: FathomServer
) -> None:
    for ring, told in (
        ("keyring.backends.fail.Keyring", "this system has no keyring"),
        ("keyring.backends.null.Keyring", "this system has no keyring"),
        (LOCKED, "is locked"),
    ):
        ended = await command.in_terminal("login", PYTHON_KEYRING_BACKEND=ring)
        assert ended.code == 1
        assert told in ended.out
        assert "API token, from" not in ended.out
    assert not fathom_server.hits


async def test_a_keyring_that_does_not_encrypt_is_named_before_the_token_is_typed(command: Command) -> None:
    ended = await command(
        "login", typed="secret-token\n", PYTHON_KEYRING_BACKEND="file_keyring.PlaintextKeyring"
    )
    assert ended.code == 0
    first, _ = ended.err.splitlines()[:2]
    assert first.startswith(
        "fathom: file keyring PlaintextKeyring does not encrypt: anybody who can read /home/joe"
    )


async def test_a_file_has_the_token_where_there_is_no_keyring(command: Command, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-token\n")
    found = {"FATHOM_API_TOKEN": "", "FATHOM_API_TOKEN_FILE": str(tmp_path / "token")}
    who = await command("whoami", **found)
    assert json.loads(who.out)["token_from"] == "file"
    assert (
        json.loads((await command("whoami", **found | {"FATHOM_API_TOKEN": "any"})).out)["token_from"]
        == "environment"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "No such file or directory"), (b"\n", "is empty"), (b"\xff", "it is no text")],
)
async def test_a_file_without_a_token_is_named(
    command: Command, tmp_path: Path, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    ended = await command("whoami", FATHOM_API_TOKEN="", FATHOM_API_TOKEN_FILE=str(tmp_path / "token"))
    assert ended.code == 3
    assert ended.err.startswith("fathom: no token: ")
    assert f"{tmp_path / 'token'}" in ended.err
    assert told in ended.err


async def test_nothing_typed_is_no_token(command: Command, fathom_server: FathomServer) -> None:
    ended = await command("login", typed="\n", PYTHON_KEYRING_BACKEND=RING)
    assert (ended.code, ended.err) == (2, "fathom: nothing was given; type it, or pipe it in\n")
    assert not fathom_server.hits


async def test_the_token_is_no_argument(command: Command) -> None:
    ended = await command("login", "secret-token", PYTHON_KEYRING_BACKEND=RING)
    assert ended.code == 2


def test_a_credential_does_not_show_its_token() -> None:
    assert "secret" not in repr(Credential("secret", "environment"))
