"""A keyring for tests, in a plain file; it says what system keyrings say."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class FileKeyring(KeyringBackend):
    priority = 1  # pyright: ignore[reportAssignmentType] - as keyring's own documentation has it

    @property
    def _path(self) -> Path:
        return Path(os.environ["KEYRING_FILE"])

    def _entries(self) -> dict[str, str]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._entries().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._path.write_text(json.dumps({**self._entries(), f"{service} {username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        entries = self._entries()
        if entries.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError
        self._path.write_text(json.dumps(entries))


class PlaintextKeyring(FileKeyring):
    file_path = "/home/joe/keyring.cfg"


class LockedKeyring(FileKeyring):
    priority = 1  # pyright: ignore[reportAssignmentType] - as keyring's own documentation has it

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(f"{service} of {username}")
