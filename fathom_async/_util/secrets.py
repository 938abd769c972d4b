"""Credentials in the words of others: servers and proxies that repeat them, libraries that quote them.

1. Whatever a server sends back passes `Secrets` before anything else reads it: body, headers, reason, and the errors
   of the transport. So no error, event, log line or pickle can show a credential, whoever made it.
2. A credential is found as it is, in other case, URL-quoted, escaped as in JSON, Python or HTML, in hexadecimal, and
   inside of any base64.
3. A successful answer that looks like JSON is data: it is changed only if it has a long credential, which no word
   resembles, as it is, in upper or lower case, with escaped letters, in hexadecimal, or in base64 near its beginning.
   Finding that out takes microseconds.
4. Letters and digits need no escape, and lines of base64 no break. A text is searched without these as well, and
   keeps none if that shows more credentials. No pattern has a repetition without a bound before what it looks for, as
   such may take hours.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from fathom_async.errors import ConfigurationError, FathomError

ErrorT = TypeVar("ErrorT", bound=FathomError)

_SHORTEST: Final = 8
"""Shorter texts are not replaced: they keep nothing secret, and are part of many words."""
_LONG: Final = 16
_MASK: Final = "***"
_BREAK: Final = re.compile(r"(?:\\{1,16}[rn]|[\r\n])[ \t]{0,16}")
_WORD: Final = re.compile(r"[0-9A-Za-z]+")
_ALNUM: Final = "(3[0-9]|[46][1-9a-f]|[57][0-9a])"
_ESCAPED: Final = re.compile(
    rf"(?i)\\{{1,16}}(?:u00|x){_ALNUM}|%(?:25){{0,8}}{_ALNUM}|&\#x0{{0,8}}{_ALNUM};|&\#0{{0,8}}([0-9]{{2,3}});"
)
"""A letter or digit with an escape."""
ESCAPES: Final = re.compile(rb"\\u00[3-7]")
"""What every one in JSON has; public for the fewer files that a call passes."""
_PART: Final = re.compile(r'(?:([\w-]+)\s*=\s*)?("(?:[^"\\]|\\.)*"|[^\s,;"]+)')
_SCHEME: Final = re.compile(r"\s*[A-Za-z-]+\s+")
_NO_SECRETS: Final = {"username", "realm", "uri", "algorithm"}


class Secrets:
    """Credentials, and the replacement of them by ``***``.

    For rule 3, `marks` has a part of each long credential, and `early_marks` the same of their base64.
    """

    def __init__(self, *secrets: str) -> None:
        found = [each for each in dict.fromkeys(secrets) if len(each.strip("\\")) >= _SHORTEST]
        longest_first = sorted(found, key=len, reverse=True)
        self._pattern = re.compile(
            "|".join(form for each in longest_first for form in _forms(each)) or r"(?!)"
        )
        self._secrets = secrets
        long = [each for each in found if len(each) >= _LONG]
        cases = [form for each in long for form in (each, each.upper(), each.lower())]
        bare = [form for each in long for form in (_in_hexadecimal(each), _in_hexadecimal(each).upper())]
        self.marks: tuple[bytes, ...] = tuple(dict.fromkeys(map(_mark, cases + bare)))
        self.early_marks: tuple[bytes, ...] = tuple(_mark(form) for each in long for form in _in_base64(each))

    def are_escaped_in(self, body: bytes) -> bool:
        """Return whether JSON has a long credential with escaped letters (rule 3)."""
        plain = _unescaped(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        return any(mark in plain for mark in self.marks + self.early_marks)

    def and_also(self, *secrets: str) -> "Secrets":
        return Secrets(*self._secrets, *secrets)

    def mask(self, text: str) -> str:
        plain = _unescaped(text)  # rule 4
        found = max(plain, _BREAK.sub("", plain), key=lambda each: len(self._pattern.findall(each)))
        return self._pattern.sub(_MASK, found if self._pattern.search(found) else text)

    def mask_bytes(self, body: bytes) -> bytes:
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
    """Yield what may be a secret in an ``Authorization`` header: what follows the scheme, its parts, their values.

    ``Basic`` has a password inside, ``Token token=…, org=7`` and ``Key … v1`` have it among others.
    """
    scheme = _SCHEME.match(authorization)
    credential = authorization[scheme.end() if scheme else 0 :].strip()
    yield credential
    if scheme and scheme[0].strip().lower() == "basic":
        with suppress(ValueError):
            yield b64decode(credential).decode(errors="replace").partition(":")[2]
        return
    for part in _PART.finditer(credential):
        if (part[1] or "").lower() not in _NO_SECRETS:
            value = re.sub(r"\\(.)", r"\1", part[2][1:-1]) if part[2][0] == '"' else part[2]
            yield from {part[0], value, value.partition(":")[2]} - {credential, ""}


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


def _forms(secret: str) -> Iterator[str]:
    """Yield a pattern of a secret for each form (rule 2), the longest first."""
    yield f"(?i:{'[ :-]?'.join(re.findall('..', _in_hexadecimal(secret)))})"
    yield from ("".join(map(_written, form)) for form in _in_base64(secret))
    yield f"(?i:{''.join(map(_written, secret))})"


def _in_hexadecimal(secret: str) -> str:
    return secret.encode().hex()


def _in_base64(secret: str) -> Iterator[str]:
    """Yield the characters that any base64 of a text with this secret in it has (rule 2)."""
    data = secret.encode()
    for before in range(3):
        text = b64encode(bytes(before) + data).decode()
        yield text[(0, 2, 3)[before] : (len(data) + before) * 8 // 6]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(_letter, text)


def _letter(found: re.Match[str]) -> str:
    character = chr(int(found[4]) if found[4] else int(found[1] or found[2] or found[3], 16))
    return character if character.isalnum() and character.isascii() else found[0]


def _written(character: str) -> str:
    """Return the pattern of a character of a secret, in each of its forms (rule 2)."""
    if character.isalnum() and character.isascii():
        return character
    quoted = "".join(f"%(?:25){{0,8}}{byte:02x}" for byte in character.encode())
    code = ord(character)
    escaped = (
        rf"\\{{1,16}}(?:u{code:04x}|x{code:02x})|&\#0{{0,8}}{code};|&\#x0{{0,8}}{code:x};|&[a-z]{{2,8}};"
    )
    plain = r"\\{0,16}" if character == "\\" else rf"\\{{0,16}}{re.escape(character)}"
    return rf"(?:{plain}|(?i:{quoted}|{escaped}){'|[-_ ]' if character in '+/' else ''})"
