"""Credentials in the words of others, and how messages show the URL of a Redis server."""

import html
import json
import pickle
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import APIError, ConnectError, DecodeError, FathomError
from fathom_async._util.secrets import ESCAPES, Secrets, of_header, of_url, told, without_secrets
from tests.test_pickling import ERRORS, facts

TOKEN = "12|Zb+/=q'x9\\K7-very_secret~0123456789"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04X}"


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "quoted": lambda text: quote(text, safe=""),
    "quoted in upper case": lambda text: quote(text, safe="").upper(),
    "quoted as a path": quote,
    "quoted as a form": quote_plus,
    "quoted in lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "quoted twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": json.dumps,
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/").replace("|", "\\u007C"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "Python": repr,
    "Python bytes": lambda text: repr(text.encode()),
    "HTML": html.escape,
    "HTML in numbers": lambda text: html.escape(text).replace("|", "&#124;").replace("/", "&#x2F;"),
    "JSON with all escaped": lambda text: "".join(f"\\u{ord(each):04x}" for each in text),
    "JSON with a letter escaped": lambda text: re.sub("[0-9A-Za-z]", _escaped, json.dumps(text), count=1),
    "JSON with letters escaped": lambda text: re.sub("[0-9A-Za-z]", _escaped, json.dumps(text)),
    "JSON in JSON with all escaped": lambda text: "".join(f"\\\\u{ord(each):04X}" for each in text),
    "Python with all escaped": lambda text: "".join(f"\\x{ord(each):02x}" for each in text),
    "HTML in numbers only": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "quoted more than needed": lambda text: "".join(f"%{ord(each):02x}" for each in text),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in upper case": lambda text: f"0x{text.encode().hex().upper()}",
    "hexadecimal with blanks": lambda text: text.encode().hex(" "),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64 with a user": lambda text: b64encode(f"user:{text}".encode()).decode(),
    "base64 of a header": lambda text: b64encode(f"Bearer {text}, more".encode()).decode(),
    "base64 in lines": lambda text: re.sub(".{16}", "\\g<0>\r\n ", b64encode(text.encode()).decode()),
    "base64 in lines of JSON": lambda text: json.dumps(FORMS["base64 in lines"](text)),
    "base64 for URLs": lambda text: urlsafe_b64encode(f"a{text}b".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_credential_is_replaced_in_each_form(form: str) -> None:
    said = Secrets(TOKEN).mask(f"<{FORMS[form](TOKEN)}>")
    assert "***" in said
    assert len(said) < 24, "what is left are the ends of base64"


secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)


@given(secrets, st.sampled_from(sorted(FORMS)), st.text(), st.text())
def test_any_credential_is_replaced_in_any_text(secret: str, form: str, before: str, after: str) -> None:
    written = FORMS[form](secret)
    assert written not in Secrets(secret).mask(f"{before}{written}{after}").replace("***", "")


@given(st.binary())
def test_other_bytes_stay_as_they_are(body: bytes) -> None:
    assert Secrets(TOKEN).mask_bytes(body) == body


def test_a_header_has_a_credential_and_the_password_inside() -> None:
    assert [*of_header("Bearer very-secret")] == ["very-secret"]
    assert [*of_header("very-secret")] == ["very-secret"]
    basic = b64encode(b"public:private:key").decode()
    assert [*of_header(f"Basic {basic}")] == [basic, "private:key"]


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN}",
        TOKEN,
        f"Key {TOKEN} v1",
        f"{TOKEN} v1",
        f"Token token={TOKEN}, org=7",
        f"token={TOKEN}; org=7",
        f"Token homer:{TOKEN}",
        f"AWS4-HMAC-SHA256 Credential=AKID/1/eu/s3,Signature = {TOKEN}",
        'Digest username="homer-simpson", secret="{}", nc=1'.format(TOKEN.replace("\\", "\\\\")),
        "Basic " + b64encode(f"homer:{TOKEN}".encode()).decode(),
    ],
)
def test_a_header_has_its_secret_wherever_its_scheme_puts_it(header: str) -> None:
    masked = Secrets(*of_header(header)).mask(f"{TOKEN}, {header}, homer-simpson, org=7")
    assert "very" not in masked
    assert "0123456789" not in masked
    assert masked.endswith("homer-simpson, org=7")


@pytest.mark.parametrize("header", ["", "Basic", "Basic abc", "Basic ä", '"', "=", " ", 'Digest a="'])
def test_a_header_that_is_none_is_no_error(header: str) -> None:
    assert Secrets(*of_header(header)).mask("any body") == "any body"


@pytest.mark.parametrize("secret", [TOKEN, f"|{TOKEN}", f"\\{TOKEN}"])
def test_what_looks_like_a_beginning_is_no_work_without_end(secret: str) -> None:
    for junk in ("\\" * 200_000, "%" + "25" * 100_000, "&#" + "0" * 200_000, "&#x" + "0" * 200_000):
        assert Secrets(secret).mask(f"{junk}\\u0073") == f"{junk}\\u0073"


def test_data_with_an_escaped_credential_are_found() -> None:
    for form in ("plain", "JSON", "JSON with all escaped", "JSON with letters escaped", "base64"):
        body = f'{{"name": "Caf\\u00e9 \\u0041 {FORMS[form](TOKEN)}"}}'.encode()
        assert ESCAPES.search(body)
        assert Secrets(TOKEN).are_escaped_in(body)
    assert not Secrets(TOKEN).are_escaped_in(b'{"name": "Caf\\u00e9 \\u003c \\u0041"}')


def test_the_password_of_a_url_is_not_told_by_the_library_that_uses_it() -> None:
    error = ConnectionError("unknown command 'AUTH', with args beginning with: 'p@ssw/rd1'")
    for url in (
        "redis://:p%40ssw%2Frd1@host",
        "redis://host?password=p%40ssw%2Frd1",
        "redis://p%40ssw%2Frd1@host",
    ):
        assert told(error, url) == "ConnectionError unknown command 'AUTH', with args beginning with: '***'"
    assert [*of_url("redis://host/0")] == []


@pytest.mark.parametrize(
    "error",
    [each for each in ERRORS if isinstance(each, FathomError)],
    ids=lambda error: type(error).__name__,
)
def test_an_error_without_credentials_is_the_same(error: FathomError) -> None:
    assert facts(Secrets(TOKEN).masked(error)) == facts(error)


def test_no_part_of_an_error_keeps_a_credential() -> None:
    for error in (
        ConnectError(f"no {TOKEN}", "GET", f"https://{TOKEN}", False),
        DecodeError("no", "GET", "", TOKEN.encode()),
        APIError(400, TOKEN, {TOKEN: [TOKEN]}, "GET", TOKEN, 5.0),
    ):
        error.add_note(TOKEN)
        masked = Secrets(TOKEN).masked(error)
        assert b"***" in pickle.dumps(masked)
        assert b"very" not in pickle.dumps(masked)
        assert "very" not in repr((masked, vars(masked), getattr(masked, "filename", None)))


def test_a_word_is_no_credential() -> None:
    assert Secrets("any", "").mask("any body") == "any body"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("rediss://user:secret@host/1", "rediss://host/1"),
        ("redis://:secret@host:1/0?password=secret", "redis://host:1/0"),
        ("redis://user:12/secret@host/0", "redis://user:12"),
        ("redis://host/secret", "redis://host"),
        ("unix:///run/redis.sock?password=secret", "unix:///run/redis.sock"),
    ],
)
def test_only_the_place_is_shown(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
