"""Credentials in the words of others: servers and proxies that repeat them, libraries that quote them.

1. Whatever a server sends back passes `Secrets` before anything else reads it: body, headers, reason, and the errors
   of the transport. So no error, event, log line or pickle can show a credential, whoever made it.
2. A credential is found as it is, URL-quoted, escaped as in JSON, Python or HTML, and inside of any base64.
3. A successful answer that looks like JSON is data: it is changed only if it has a long credential, which no word
   resembles, as it is, or in base64 near its beginning. Finding that out takes a few microseconds.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from fathom_async.errors import ConfigurationError, FathomError

ErrorT = TypeVar("ErrorT", bound=FathomError)

_SHORTEST: Final = 8
"""Shorter texts are not replaced: they keep nothing secret, and are part of many words."""
_LONG: Final = 16
_MASK: Final = "***"
_WORD: Final = re.compile(r"[0-9A-Za-z]+")


class Secrets:
    """Credentials, and the replacement of them by ``***``.

    For rule 3, `marks` has a part of each long credential, and `early_marks` the same of their base64.
    """

    def __init__(self, *secrets: str) -> None:
        found = [each for each in dict.fromkeys(secrets) if len(each) >= _SHORTEST]
        forms = [form for each in found for form in (each, *_in_base64(each))]
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile(
            "|".join("".join(map(_written, form)) for form in longest_first) or r"(?!)"
        )
        self._secrets = secrets
        long = [each for each in found if len(each) >= _LONG]
        self.marks: tuple[bytes, ...] = tuple(map(_mark, long))
        self.early_marks: tuple[bytes, ...] = tuple(_mark(form) for each in long for form in _in_base64(each))

    def and_also(self, *secrets: str) -> "Secrets":
        """Return these credentials and others."""
        return Secrets(*self._secrets, *secrets)

    def mask(self, text: str) -> str:
        """Return a text without the credentials."""
        return self._pattern.sub(_MASK, text)

    def mask_bytes(self, body: bytes) -> bytes:
        """Return a body without the credentials."""
        return self.mask(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")

    def masked(self, error: ErrorT) -> ErrorT:
        """Return an error without the credentials, and without the errors that it followed from."""
        kind, arguments, *_ = cast("tuple[type[ErrorT], tuple[object, ...]]", error.__reduce__())
        made = kind(*(self._within(each) for each in arguments))
        vars(made).update({name: self._within(each) for name, each in vars(error).items()})
        return made

    def _within(self, value: object) -> object:
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, bytes):
            return self.mask_bytes(value)
        if isinstance(value, Mapping):
            pairs = cast("Mapping[object, object]", value).items()
            return {self._within(name): self._within(each) for name, each in pairs}
        if type(value) in {tuple, list}:
            found = cast("list[object]", value)
            return type(found)(map(self._within, found))
        return value


def of_header(authorization: str) -> Iterator[str]:
    """Yield the secrets of an ``Authorization`` header: what follows the scheme, and the password inside."""
    scheme, _, credential = authorization.rpartition(" ")
    yield credential
    if scheme.lower() == "basic":
        yield b64decode(credential).decode(errors="replace").partition(":")[2]


def of_url(url: str) -> Iterator[str]:
    """Yield what may be a password in a URL, be it in the wrong place."""
    parts = urlsplit(url)
    yield from map(unquote, filter(None, (parts.password, parts.username)))
    yield from (value for name, value in parse_qsl(parts.query) if name == "password")


def without_secrets(url: str) -> str:
    """Return where a Redis server is; what else stands in its URL may be a password, be it in the wrong place."""
    parts = urlsplit(url)
    if parts.hostname is None:
        return f"{parts.scheme}://{parts.path}"
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}" + (parts.path if parts.path[1:].isdecimal() else "")


def shown_url(value: object) -> str:
    """Return what was given for a URL, as in its repr, without what may be a password, be it in the wrong place."""
    written = re.sub(r"^(b?[\"'](?:\w+:/*)?).*@", rf"\1{_MASK}@", repr(value), flags=re.DOTALL)
    return re.sub(r"([?#]).+(?=[\"'])", rf"\1{_MASK}", written, flags=re.DOTALL)


def read_token(file: str) -> str:
    """Return the token in a file.

    Raises:
        ConfigurationError: The file cannot be read, or is empty.
    """
    path = Path(file)
    try:
        token = path.expanduser().read_text("utf-8").strip()
    except (OSError, ValueError, RuntimeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"cannot read {path}: {told}") from None
    if not token:
        raise ConfigurationError(f"{path} is empty")
    return token


def told(error: Exception, url: str) -> str:
    """Return the type and the words of a library's error about the server at a URL, without the URL's password."""
    return Secrets(*of_url(url)).mask(f"{type(error).__name__} {error}".rstrip())


def _mark(form: str) -> bytes:
    return max(_WORD.findall(form), key=len, default=form).encode()


def _in_base64(secret: str) -> Iterator[str]:
    """Yield the characters that any base64 of a text with this secret in it has (rule 2)."""
    data = secret.encode()
    for before in range(3):
        text = b64encode(bytes(before) + data).decode()
        yield text[(0, 2, 3)[before] : (len(data) + before) * 8 // 6]


def _written(character: str) -> str:
    """Return the pattern of a character of a secret, in each of its forms (rule 2)."""
    if character.isalnum() and character.isascii():
        return character
    quoted = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode())
    code = ord(character)
    escaped = rf"\\+u{code:04x}|\\+x{code:02x}|&\#0*{code};|&\#x0*{code:x};|&[a-z]{{2,8}};"
    return rf"(?:\\*{re.escape(character)}|(?i:{quoted}|{escaped}){'|[-_ ]' if character in '+/' else ''})"
