"""Secrets are replaced by marks in every form that they are met in, and put back when a run reads its own record."""

import base64
import json
import re
import shlex
from html import escape
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runtime.values.redaction import Redactor
from orchestrator.tools.sandbox.network import public_url, safe_url
from tests.expressions.conftest import evaluate

SECRET = 'pä ss/"w0rd"+\n=%'
REDACTOR = Redactor({"key": SECRET}, "n0")


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"Bearer {SECRET}!",
        json.dumps({"a": SECRET}),
        json.dumps({"a": SECRET}, ensure_ascii=False),
        repr({"a": SECRET}),
        f"https://example.org/?key={quote(SECRET, safe='')}",
        f"https://example.org/?key={quote_plus(SECRET)}",
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"u:{SECRET}".encode()).decode(),
        base64.b64encode(f"us:{SECRET}".encode()).decode(),
        base64.urlsafe_b64encode(f"user:{SECRET}:x".encode()).decode(),
    ],
)
def test_a_secret_is_found_in_every_form(text: str) -> None:
    scrubbed = REDACTOR.text(text)
    assert scrubbed != text
    assert "[redacted:key" in scrubbed
    assert "w0rd" not in scrubbed
    assert base64.b64encode(SECRET.encode()).decode()[:-4] not in scrubbed
    assert REDACTOR.restore(scrubbed) == text


def test_without_secrets_nothing_is_done() -> None:
    data = {"a": ["b"]}
    redactor = Redactor({}, "n0")
    assert not redactor
    assert redactor.scrub(data) is data
    assert redactor.restore(data) is data


def test_secrets_inside_lists_and_objects_are_hidden_too() -> None:
    redactor = Redactor({"login": {"user": "ann", "codes": ["x1", "x2"]}}, "n0")
    assert "x2" not in json.dumps(redactor.scrub({"x2": "with x2", "list": ["x1", 5]}))


def test_a_number_can_be_a_secret() -> None:
    redactor = Redactor({"pin": 481516}, "n0")
    scrubbed = redactor.scrub({"pin": 481516, "text": "pin 481516", "other": 48})
    assert "481516" not in json.dumps(scrubbed)
    assert redactor.restore(scrubbed) == {"pin": 481516, "text": "pin 481516", "other": 48}


@pytest.mark.parametrize("secret", [42, 42.0, "42", "42.0", "4.2e1", -7, 0.5, "-7", 1e300, "0", 10**20, "1.50"])
def test_a_value_that_equals_a_secret_is_of_the_same_type_again(secret: str | float) -> None:
    redactor = Redactor({"pin": secret}, "n0")
    number = float(secret)
    values = [number, str(secret), secret, True, False, None, f"a {secret} b", {"x": [number, -number]}]
    values += [int(number)] if number.is_integer() else []
    scrubbed = redactor.scrub(values)
    assert number not in [value for value in scrubbed if type(value) in (int, float)]
    assert repr(redactor.restore(scrubbed)) == repr(values)


def test_the_parts_of_a_secret_that_is_a_json_text_are_hidden_too() -> None:
    inner = json.dumps({"token": "t0ken-inside"})
    key = {
        "type": "oauth",
        "v": 1,
        "private_key": "-----BEGIN\nMIIEvQIBADAN\n",
        "pin": 481516,
        "deep": [inner],
        "on": True,
    }
    redactor = Redactor({"account": json.dumps(key, indent=1)}, "n0")
    data = {"login": key["private_key"], "pin": 481516, "text": "pin 481516, t0ken-inside", "list": [1, 1.0, True, "v"]}
    scrubbed = redactor.scrub(data)
    shown_ = json.dumps(scrubbed)
    assert not any(part in shown_ for part in ("MIIEvQIBADAN", "481516", "t0ken-inside"))
    assert scrubbed["list"] == [1, 1.0, True, "v"]
    assert redactor.restore(scrubbed) == data
    assert "oauth" not in json.dumps(Redactor({"account": {"type": "oauth"}}, "n0").scrub(["oauth"]))
    assert Redactor({"account": "{not json"}, "n0").scrub("not json") == "not json"


def test_a_line_of_a_secret_of_many_lines_is_hidden_too() -> None:
    redactor = Redactor({"key": "-----BEGIN KEY-----\n  MIIEvQIBADANBgkq  \nhkiG9w0B\nAQ=\n"}, "n0")
    assert redactor.text("b: MIIEvQIBADANBgkq") == "b: [redacted:key:line-2#n0]"
    assert redactor.restore(redactor.text("hkiG9w0B AQ=")) == "hkiG9w0B AQ="
    assert redactor.text("AQ=") == "AQ="


def test_a_text_that_only_looks_like_a_mark_is_left_alone() -> None:
    forged = REDACTOR.mark("key").replace("n0", "n1")
    assert REDACTOR.restore(forged) == forged


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(secret=st.text(alphabet='abcé"/ 1', min_size=4, max_size=12), data=JSON, around=st.text(max_size=4))
def test_what_is_scrubbed_has_no_secret_and_can_be_restored(secret: str, data: object, around: str) -> None:
    redactor = Redactor({"s": secret}, "#!")
    value = {"data": data, "text": f"{around}{secret}{around}", "list": [secret]}
    scrubbed = redactor.scrub(value)
    assert secret not in json.dumps(scrubbed, ensure_ascii=False).replace("[redacted:", "[r:")
    assert redactor.restore(scrubbed) == value


def test_very_many_secrets_are_found_and_restored_like_few() -> None:
    redactor = Redactor({}, "n0")
    for number in range(300):
        redactor.learn({"key": f"secret {number}"}, f"l[{number}].call")
    text = "from secret 7 and secret 77 to [redacted: secret 299"
    scrubbed = redactor.text(text)
    assert scrubbed == (
        "from [redacted:l[7].call.key#n0] and [redacted:l[77].call.key#n0] to [redacted: [redacted:l[299].call.key#n0]"
    )
    assert redactor.restore(scrubbed) == text
    assert redactor.lost(text) is None
    assert Redactor({}, "n0").lost([scrubbed]) == "l[7].call.key"


WRITTEN = {
    "lower case": str.lower,
    "upper case": str.upper,
    "title": str.title,
    "swapped case": str.swapcase,
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps({"arguments": json.dumps({"a": text})}),
    "Unicode JSON in JSON": lambda text: json.dumps(json.dumps(text, ensure_ascii=False), ensure_ascii=False),
    "repr": repr,
    "ASCII repr": ascii,
    "bytes": lambda text: repr(text.encode()),
    "YAML": lambda text: "'" + text.replace("'", "''") + "'",
    "CSV": lambda text: '"' + text.replace('"', '""') + '"',
    "HTML": escape,
    "HTML of the filter": lambda text: orc_filter("escape", text),
    "HTML of Markdown": lambda text: escape(text, quote=False).replace('"', "&quot;"),
    "shell": shlex.quote,
    "stripped": str.strip,
    "filter urlencode": lambda text: orc_filter("urlencode", text),
    "query": lambda text: str(httpx2.URL("http://a.b/", params={"key": text})),
    "query as it is": lambda text: str(httpx2.URL(f"http://a.b/?key={text}")),
    "path": lambda text: str(httpx2.URL("http://a.b/").copy_with(path=f"/{text}")),
    "password": lambda text: str(httpx2.URL("http://a.b/").copy_with(username="u", password=text)),
    "encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "small percent codes": lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
    "basic authentication": lambda text: httpx2.BasicAuth("user", text)._build_auth_header("user", text),
    "form": lambda text: httpx2.Request("POST", "http://a.b/", data={"key": text}).content.decode(),
    "hexadecimal": lambda text: text.encode().hex(),
}


def orc_filter(name: str, text: str) -> str:
    return str(evaluate(f"{{{{ secret | {name} }}}}", secret=text))


@pytest.mark.parametrize("secret", ["SeCrEt/Tok=42", 'pä ss\'"W0rd"+=%&<x>;:@[]|', "straße Ünï"])
@pytest.mark.parametrize("how", WRITTEN)
def test_a_secret_is_found_as_our_own_code_writes_it(how: str, secret: str) -> None:
    redactor = Redactor({"key": secret}, "n0")
    text = WRITTEN[how](secret)
    scrubbed = redactor.text(text)
    assert "[redacted:key" in scrubbed
    for part in ("tok", "w0rd", "stra"):
        assert part not in scrubbed.casefold().replace("[redacted:key", "")
    assert redactor.restore(scrubbed) == text


@pytest.mark.parametrize("host", ["SeCrEtTok42.example", "api-SeCrEt.example", "köLn.example", "a-Köln-b.example"])
def test_a_secret_in_the_name_of_a_host_is_found(host: str) -> None:
    secret = next(word for word in ("SeCrEtTok42", "SeCrEt", "köLn", "Köln") if word in host)
    redactor = Redactor({"key": secret}, "n0")
    response = httpx2.Response(200, request=httpx2.Request("GET", f"http://user:pass@{host}:81/x?y=1#z"))
    for text in (public_url(response.url), safe_url(f"http://{host}/")):
        assert "[redacted:key" in redactor.text(text)
        assert "pass" not in text
        assert redactor.restore(redactor.text(text)) == text


@given(secret=st.text(alphabet="aBcÄß/ 1ıİſK", min_size=1, max_size=8), seed=st.integers(0, 255))
def test_whatever_the_case_a_secret_is_hidden_and_most_can_be_restored(secret: str, seed: int) -> None:
    redactor = Redactor({"s": secret}, "#!")
    varied = "".join(sign.swapcase() if seed >> at & 1 else sign for at, sign in enumerate(secret))
    scrubbed = redactor.text(f"<{varied}>")
    if re.fullmatch(re.escape(secret), varied, re.IGNORECASE):
        assert "[redacted:s" in scrubbed
    if secret.isascii():
        assert redactor.restore(scrubbed) == f"<{varied}>"
    else:
        assert redactor.restore(scrubbed) == f"<{varied}>" or redactor.lost(redactor.restore(scrubbed)) == "s"
