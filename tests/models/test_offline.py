import asyncio
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestrator.errors import ModelAnswerInvalid, ModelMissing
from orchestrator.models import reading
from orchestrator.models.catalog.names import OFFLINE
from orchestrator.models.filling import fill
from orchestrator.models.messages import Media, Message, ModelReply, ModelRequest
from orchestrator.models.offline import OfflineClient

TIDES = """# The tides of Saint-Malo

Saint-Malo has some of the highest tides in Europe. At spring tide the sea rises by more than twelve metres. The tide
turns twice a day, and sailors have planned by it for centuries. A dam across the Rance has used the tides for
electricity since 1966. It feeds a town of two hundred thousand people. Cafés on the quay sell pancakes.

Contact: Anne Le Goff, anne@marees.example, or call +33 2 99 00 00 00. The dam was opened on 26 November 1966.
"""
INVOICE = """Invoice number: INV-2031
Customer: Ada Lovelace
Date: 2026-03-01
Paid: no

2 x Gears   $12.50
1 x Card reader $1,250.00

Total: $1,275.00
"""


def ask(prompt: str, **options: Any) -> ModelReply:
    return asyncio.run(OfflineClient().ask(OFFLINE, ModelRequest((Message("user", prompt),), **options)))


def answer(prompt: str, properties: dict[str, Any], system: str = "") -> Any:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return ask(prompt, schema=schema, system=system).data


def test_the_reply_says_that_it_is_of_no_language_model() -> None:
    assert ask("Hello").model == "offline"


def test_a_summary_is_made_of_sentences_of_the_text_in_their_order() -> None:
    said = ask(f"Summarise this text:\n{TIDES}").text
    chosen = reading.sentences(said)
    everything = reading.sentences(TIDES)
    assert len(chosen) == 3
    assert [everything.index(sentence) for sentence in chosen] == sorted(everything.index(each) for each in chosen)
    assert "pancakes" not in said


@pytest.mark.parametrize(("asked", "count"), [("in one sentence", 1), ("in 2 sentences", 2), ("in five sentences", 5)])
def test_a_summary_has_as_many_sentences_as_are_asked_for(asked: str, count: int) -> None:
    assert len(reading.sentences(ask(f"Summarize {asked}:\n{TIDES}").text)) == count


@pytest.mark.parametrize(
    ("message", "label"),
    [
        ("My invoice is wrong, and I was billed twice", "billing"),
        ("The technical manual is missing a page", "technical"),
        ("Good morning to you", "other"),
    ],
)
def test_a_text_gets_the_label_whose_words_it_has(message: str, label: str) -> None:
    assert ask(f"Classify the message as one of: billing, technical, other\n{message}").text == label
    assert answer(message, {"label": {"enum": ["billing", "technical", "other"]}}) == {"label": label}


def test_what_is_told_of_a_label_counts_too() -> None:
    told = "Choose a category.\nmoney: invoices, payments, refunds\nhelp: crashes, errors, passwords"
    labels = {"category": {"enum": ["money", "help"]}}
    assert answer("The app crashes when I log in with my password", labels, told) == {"category": "help"}
    assert answer("Where is the refund for my last payment?", labels, told) == {"category": "money"}


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [("Great service, thank you!", "positive"), ("Slow, rude and broken.", "negative"), ("It is a box.", "neutral")],
)
def test_a_sentiment_is_read_from_common_words(text: str, sentiment: str) -> None:
    choices = {"sentiment": {"enum": ["positive", "negative", "neutral"]}}
    assert answer(text, choices) == {"sentiment": sentiment}


def test_fields_are_read_from_beside_their_names() -> None:
    found = answer(
        INVOICE,
        {
            "invoice_number": {"type": "string"},
            "customer": {"type": "string"},
            "date": {"type": "string", "format": "date"},
            "total": {"type": "number"},
            "paid": {"type": "boolean"},
        },
    )
    assert found == {
        "invoice_number": "INV-2031",
        "customer": "Ada Lovelace",
        "date": "2026-03-01",
        "total": 1275.0,
        "paid": False,
    }


def test_fields_are_read_by_what_their_names_and_formats_say_they_are() -> None:
    found = answer(
        TIDES,
        {
            "title": {"type": "string"},
            "email": {"type": "string"},
            "phone": {"type": "string"},
            "opened": {"type": "string", "format": "date"},
            "people": {"type": "array", "items": {"type": "string"}},
            "summary": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        },
    )
    assert found["title"] == "The tides of Saint-Malo"
    assert found["email"] == "anne@marees.example"
    assert found["phone"] == "+33 2 99 00 00 00"
    assert found["opened"] == "1966-11-26"
    assert found["people"] == ["Anne Le Goff"]
    assert "tides" in found["summary"]
    assert found["tags"][0] == "tides"
    assert len(found["tags"]) == 2


def test_a_record_is_read_from_each_line_or_paragraph() -> None:
    item = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "email": {"type": "string"}},
        "required": ["name", "email"],
    }
    text = "These people came:\nname: Ada, email: ada@example.org\nname: Bob, email: bob@example.org"
    assert fill({"type": "array", "items": item}, text) == [
        {"name": "Ada", "email": "ada@example.org"},
        {"name": "Bob", "email": "bob@example.org"},
    ]


def test_what_is_not_there_is_left_out_or_empty_and_not_made_up() -> None:
    schema = {
        "type": "object",
        "properties": {
            "email": {"type": "string"},
            "phone": {"type": ["string", "null"]},
            "count": {"type": "integer", "minimum": 3},
            "note": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "extra": {"type": "string"},
        },
        "required": ["email", "phone", "count", "note"],
    }
    assert fill(schema, "Nothing here.") == {"email": "", "phone": None, "count": 3, "note": None}


def test_references_within_a_schema_are_followed_even_in_circles() -> None:
    schema = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["name", "next"],
            }
        },
        "$ref": "#/$defs/node",
    }
    assert Draft202012Validator(schema).is_valid(fill(schema, "name: Ada"))


names = st.sampled_from(
    ["title", "summary", "email", "date", "url", "total", "tags", "people", "label", "paid", "id", "x"]
)
leaves = st.one_of(
    st.builds(dict, type=st.sampled_from(["string", "boolean", "null"])),
    st.builds(
        lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span},
        st.integers(-9, 9),
        st.integers(0, 5),
    ),
    st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, st.integers(-9, 9)),
    st.builds(lambda high: {"type": "number", "exclusiveMaximum": high}, st.integers(-9, 9)),
    st.builds(
        lambda step, low: {"type": "integer", "multipleOf": step, "minimum": low},
        st.integers(1, 7),
        st.integers(-9, 99),
    ),
    st.builds(lambda least: {"type": "string", "minLength": least, "maxLength": least + 3}, st.integers(0, 40)),
    st.builds(
        lambda each: {"enum": each}, st.lists(st.sampled_from(["good", "bad", 3, None]), min_size=1, unique=True)
    ),
    st.builds(lambda kind: {"type": [kind, "null"]}, st.sampled_from(["string", "integer", "array", "object"])),
)
schemas = st.recursive(
    leaves,
    lambda each: st.one_of(
        st.builds(
            lambda properties, closed: {
                "type": "object",
                "properties": properties,
                "required": list(properties)[::2],
                "additionalProperties": not closed,
            },
            st.dictionaries(names, each, max_size=4),
            st.booleans(),
        ),
        st.builds(
            lambda items, least, more: {"type": "array", "items": items, "minItems": least, "maxItems": least + more},
            each,
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(each, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)
texts = st.one_of(st.sampled_from([TIDES, INVOICE, ""]), st.text(max_size=200))


@settings(max_examples=300)
@given(schemas, texts)
def test_every_answer_satisfies_its_schema(schema: dict[str, Any], text: str) -> None:
    assert Draft202012Validator(schema).is_valid(fill(schema, text))


def test_a_schema_that_rules_cannot_satisfy_is_refused() -> None:
    with pytest.raises(ModelAnswerInvalid) as caught:
        ask("Hello", schema={"type": "string", "pattern": "^[A-F]{12}$"})
    assert caught.value.code == "ORC726"
    assert not caught.value.retryable
    assert "name a model" in (caught.value.help or "")


@pytest.mark.parametrize("tag", ["<text>\n%s\n</text>", "```\n%s\n```", '"""%s"""'])
def test_the_text_is_told_from_what_is_asked_of_it(tag: str) -> None:
    said = ask("Summarise the text about invoices and payments below.\n\n" + tag % "The tide is high. It will turn.")
    assert said.text == "The tide is high. It will turn."


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("Extract all email addresses:", "anne@marees.example"),
        ("List the dates:", "26 November 1966"),
        ("Find the names of people:", "Anne Le Goff"),
    ],
)
def test_what_is_to_be_listed_is_listed(asked: str, found: str) -> None:
    assert ask(f"{asked}\n{TIDES}").text == found


def test_the_same_request_has_the_same_answer() -> None:
    assert len({ask(f"Summarise:\n{TIDES}").text for _ in range(5)}) == 1


def test_usage_counts_words_and_pieces_make_up_the_answer() -> None:
    pieces: list[str] = []
    request = ModelRequest((Message("user", "Say it: the tide is high today"),), system="Be brief.")
    reply = asyncio.run(OfflineClient().ask(OFFLINE, request, on_text=pieces.append))
    assert "".join(pieces) == reply.text == "the tide is high today"
    assert (reply.usage.input, reply.usage.output, reply.usage.requests) == (9, 5, 1)


def test_an_answer_is_cut_at_max_tokens_and_says_so() -> None:
    reply = ask("one two three four", max_tokens=2)
    assert (reply.text, reply.finish, reply.usage.output) == ("one two", "length", 2)


def test_images_and_tools_are_not_used() -> None:
    message = Message("user", ("What is this?", Media(b"...", "image/png")))
    reply = asyncio.run(OfflineClient().ask(OFFLINE, ModelRequest((message,))))
    assert (reply.text, reply.requests) == ("What is this?", ())


def test_embeddings_are_refused() -> None:
    with pytest.raises(ModelMissing, match="no embeddings"):
        asyncio.run(OfflineClient().embed(OFFLINE, ["text"]))


HOSTILE = [
    "a" * 200_000,
    "a-" * 100_000,
    " \n" * 100_000,
    "<p>" * 70_000,
    "A. " * 70_000,
    "1 " * 100_000,
    "A b " * 50_000,
    "name: " * 40_000,
    "#\n" * 100_000,
    '"""' * 60_000,
    "1," * 100_000,
    "$1" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:6].strip() or "blank")
def test_no_text_takes_long(text: str) -> None:
    fields = {
        name: {"type": "string"} for name in ("name", "email", "date", "phone", "price", "code", "url", "summary")
    }
    begun = time.process_time()
    ask(f"Extract:\n{text}", schema={"type": "object", "properties": fields})
    ask(f"Summarise:\n{text}")
    assert time.process_time() - begun < 5
