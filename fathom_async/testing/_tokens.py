"""Bearer tokens and their abilities."""

from collections.abc import Collection, Mapping

from attrs import frozen

from fathom_async.testing._http_errors import permission_denied


@frozen
class Grant:
    """The abilities of a known token: `*`, `all-sites-readonly`, `read:{site_id}`, `manage:{site_id}`."""

    abilities: tuple[str, ...]

    def require(self, *abilities: str) -> None:
        """Raise a 400 unless the token has one of these abilities, or full account access."""
        if not {"*", *abilities} & set(self.abilities):
            raise permission_denied()

    def require_read(self, site_id: str) -> None:
        """Raise a 400 unless the token reads this site."""
        self.require("all-sites-readonly", f"read:{site_id}", f"manage:{site_id}")


class Tokens:
    """The tokens of the account, with their abilities; `None` accepts any token for everything."""

    def __init__(self, abilities: Mapping[str, Collection[str]] | None) -> None:
        self._abilities = abilities

    def find(self, headers: Mapping[str, str]) -> Grant | None:
        """Return what a request's token grants; None if the token is missing or unknown."""
        scheme, _, secret = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            return None
        if self._abilities is None:
            return Grant(("*",))
        abilities = self._abilities.get(secret.strip())
        return None if abilities is None else Grant(tuple(abilities))
