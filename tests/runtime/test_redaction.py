"""Secrets are replaced by marks in every form that they are met in, and put back when a run reads its own record."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runtime.redaction import Redactor

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
