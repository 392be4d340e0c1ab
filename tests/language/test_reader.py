"""What is wrong with a YAML text: our own words, the right place, a fix, and reading on."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.diagnostics import Diagnostic, Source, render_text
from orchestrator.language import read_document
from orchestrator.language.yaml.nodes import plain_data
from orchestrator.language.yaml.reader import Reading, read_tree


def reading_of(text: str) -> Reading:
    return read_tree(Source.of("f.yaml", text))


def apply_fix(text: str, diagnostic: Diagnostic) -> str:
    assert diagnostic.fix is not None
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    span = diagnostic.fix.span
    start = starts[span.start.line - 1] + span.start.column - 1
    end = starts[span.end.line - 1] + span.end.column - 1
    return text[:start] + diagnostic.fix.replacement + text[end:]


# text, code, line, column, words of the message, what is read nevertheless
MISTAKES = {
    "tab": ("a:\n  b: 1\n\tc: 2\n", "ORC102", 3, 1, "tab", {"a": {"b": 1, "c": 2}}),
    "tab first": ("a:\n\tb: 1\n\tc: 2\n", "ORC102", 2, 1, "tab", {"a": {"b": 1, "c": 2}}),
    "tab in list": ("s:\n  - id: a\n\ttool: b\n", "ORC102", 3, 1, "tab", {"s": [{"id": "a", "tool": "b"}]}),
    "tab and spaces": ("a:\n  b:\n\t  c: 1\n", "ORC102", 3, 1, "tab", {"a": {"b": {"c": 1}}}),
    "tab before item": ("s:\n\t- id: a\n\t  b: c\n", "ORC102", 2, 1, "tab", {"s": [{"id": "a", "b": "c"}]}),
    "template": ("a: {{ x }}\n", "ORC103", 1, 4, "quoted", {"a": "{{ x }}"}),
    "template and text": ("a: {{ x }} and\n", "ORC103", 1, 4, "quoted", {"a": "{{ x }} and"}),
    "template with quotes": (
        "a: {{ x['b'] | join(\", \") }}\n",
        "ORC103",
        1,
        4,
        "quoted",
        {"a": "{{ x['b'] | join(\", \") }}"},
    ),
    "template in list": ("a:\n  - {{ x }} # note\n", "ORC103", 2, 5, "quoted", {"a": ["{{ x }}"]}),
    "template in brackets": ("a: [1, {{ x }}, 2]\n", "ORC103", 1, 8, "quoted", {"a": [1, "{{ x }}", 2]}),
    "template of lines": ("a: {{ x\n  + y }}\nb: 1\n", "ORC103", 1, 4, "quoted", {"a": "{{ x + y }}", "b": 1}),
    "statement": ("a: {% if x %}y{% endif %}\n", "ORC103", 1, 4, "quoted", {"a": "{% if x %}y{% endif %}"}),
    "comment": ("a: {# note #} y\nb: 1\n", "ORC103", 1, 4, "quoted", {"a": "{# note #} y", "b": 1}),
    "duplicate": ("a: 1\nb: 2\na: 3\n", "ORC104", 3, 1, "twice", {"a": 1, "b": 2}),
    "colon in value": ("a: b: c\n", "ORC101", 1, 4, "`:`", {"a": "b: c"}),
    "no space": ("a: 1\nb:2\nc: 3\n", "ORC101", 2, 2, "missing space", {"a": 1, "b": 2, "c": 3}),
    "no colon": ("a: 1\ntool x\nc: 3\n", "ORC101", 2, 1, "missing colon", {"a": 1, "tool": "x", "c": 3}),
    "not a key": ("a: 1\nword\nc: 3\n", "ORC101", 2, 1, "neither", {"a": 1, "c": 3}),
    "single quote": ("a: 'x\nb: y\n", "ORC101", 1, 4, "never closed", {"a": "x", "b": "y"}),
    "double quote": ('a: "x\nb: "y"\nc: 1\n', "ORC101", 1, 4, "never closed", {"a": "x", "b": "y", "c": 1}),
    "bracket": ("a: [x, y\nb: 1\n", "ORC101", 1, 4, "never closed", {"a": ["x", "y"], "b": 1}),
    "brace": ("a: {x: 1\nb: 1\n", "ORC101", 1, 4, "never closed", {"a": {"x": 1}, "b": 1}),
    "closing bracket": ("a: ]\nb: 1\n", "ORC101", 1, 4, "without", {"a": None, "b": 1}),
    "no comma": ('a: ["x" "y"]\nb: 1\n', "ORC101", 1, 8, "missing comma", {"a": ["x", "y"], "b": 1}),
    "no comma on lines": ('a: [\n  "x"\n  "y"\n]\nb: 1\n', "ORC101", 2, 6, "missing comma", {"a": ["x", "y"], "b": 1}),
    "no comma after a mapping": (
        "a: [\n  {c: 1}\n  {c: 2}\n]\nb: 1\n",
        "ORC101",
        2,
        9,
        "missing comma",
        {"a": [{"c": 1}, {"c": 2}], "b": 1},
    ),
    "no comma after a comment": (
        "a: [\n  c, # one\n  d # two\n  e\n]\nb: 1\n",
        "ORC101",
        3,
        4,
        "missing comma",
        {"a": ["c", "d", "e"], "b": 1},
    ),
    "no comma in a mapping": (
        "a: {c: 1 d: 2}\nb: 1\n",
        "ORC101",
        1,
        9,
        "missing comma",
        {"a": {"c": 1, "d": 2}, "b": 1},
    ),
    "no comma in a mapping on lines": (
        "a: {\n  c: 1\n  d: 2\n}\nb: 1\n",
        "ORC101",
        2,
        7,
        "missing comma",
        {"a": {"c": 1, "d": 2}, "b": 1},
    ),
    "no colon in a mapping": ('a: {"c" 1}\nb: 1\n', "ORC101", 1, 8, "missing colon", {"a": {"c": 1}, "b": 1}),
    "colon in an item": (
        'a: [\n  "x",\n  c: d: e,\n  y\n]\nb: 1\n',
        "ORC101",
        3,
        3,
        "quoted",
        {"a": ["x", "c: d: e", "y"], "b": 1},
    ),
    "colon in a value in braces": ("a: {c: d: e f}\nb: 1\n", "ORC101", 1, 8, "quoted", {"a": {"c": "d: e f"}, "b": 1}),
    "text behind the quote of an item": (
        'a: [\n  "x" y,\n  z\n]\nb: 1\n',
        "ORC101",
        2,
        7,
        "after the closing quote",
        {"a": ['"x" y', "z"], "b": 1},
    ),
    "dashes in brackets": ("a: [\n  - x\n  - y\n]\nb: 1\n", "ORC101", 2, 3, "without `-`", {"a": ["x", "y"], "b": 1}),
    "two commas": ("a: [x,, y]\nb: 1\n", "ORC101", 1, 7, "missing item", {"a": ["x", "y"], "b": 1}),
    "another bracket": ("a: [x, y}\nb: 1\n", "ORC101", 1, 9, "`[` is closed by `}`", {"a": ["x", "y"], "b": 1}),
    "inner bracket open": ("a: {c: [x, y}\nb: 1\n", "ORC101", 1, 8, "never closed", {"a": {"c": ["x", "y"]}, "b": 1}),
    "bracket on lines open": ('a: [\n  "x",\n  "y"\nb: 1\n', "ORC101", 1, 4, "never closed", {"a": ["x", "y"], "b": 1}),
    "at": ("a: @x\nb: 1\n", "ORC101", 1, 4, "must be quoted", {"a": "@x", "b": 1}),
    "backtick": ("a: `x`\nb: 1\n", "ORC101", 1, 4, "must be quoted", {"a": "`x`", "b": 1}),
    "percent": ("a: %x\nb: 1\n", "ORC101", 1, 4, "must be quoted", {"a": "%x", "b": 1}),
    "star": ("a: **bold**\nb: 1\n", "ORC101", 1, 4, "must be quoted", {"a": "**bold**", "b": 1}),
    "too deep": ("a: 1\n  b: 2\n", "ORC101", 2, 3, "already has a value", {"a": 1, "b": 2}),
    "between": ("a:\n    b: 1\n  c: 2\n", "ORC101", 3, 3, "indented by 2", {"a": {"b": 1, "c": 2}}),
    "item": (
        "s:\n - a: 1\n   b: 2\n  - a: 3\n    b: 4\n",
        "ORC101",
        4,
        3,
        "indented by 2",
        {"s": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]},
    ),
    "less": ("  a: 1\nb: 2\n", "ORC101", 2, 1, "less", {"a": 1, "b": 2}),
    "after comment": ("a: x # c\n  y\nb: 1\n", "ORC101", 2, 3, "neither a key nor", {"a": "x", "b": 1}),
    "behind quote": ('a: "x" y\nb: 1\n', "ORC101", 1, 8, "after the closing", {"a": "x", "b": 1}),
    "escape": ('a: "C:\\dir"\nb: 1\n', "ORC101", 1, 7, "is not an escape", {"a": "C:\\dir", "b": 1}),
    "text not indented": (
        "a: |\n  one\n two | x\n {% if x %}\nb: 1\n",
        "ORC101",
        3,
        2,
        "less than the text",
        {"a": "one\ntwo | x\n{% if x %}\n", "b": 1},
    ),
    "template not indented": (
        "a: |\n  one\n{{ x }} two\n  {{ y }}\nb: 1\n",
        "ORC101",
        3,
        1,
        "less than the text",
        {"a": "one\n{{ x }} two\n{{ y }}\n", "b": 1},
    ),
    "block header": ("a: > x\nb: 1\n", "ORC101", 1, 4, "several lines", {"a": "> x", "b": 1}),
    "block header and text": ("a: | x\n  y\nb: 1\n", "ORC101", 1, 4, "several lines", {"a": "y\n", "b": 1}),
    "list on the key's line": ("a: - b\nc: 1\n", "ORC101", 1, 4, "list", {"a": ["b"], "c": 1}),
    "alias": ("a: *x\nb: 1\n", "ORC106", 1, 4, "no anchor", {"a": None, "b": 1}),
    "alias in itself": ("a: &x [1, *x]\n", "ORC106", 1, 11, "inside", {"a": [1, None]}),
    "documents": ("a: 1\n---\nb: 2\n", "ORC107", 2, 1, "more than one", {"a": 1}),
    "tag": ("a: !!str 5\n", "ORC108", 1, 4, "tag", {"a": 5}),
    "key": ("[a]: 1\nb: 2\n", "ORC108", 1, 1, "key must be text", {"b": 2}),
    "directive": ("%a b\nb: 2\n", "ORC108", 1, 1, "%", {"b": 2}),
    "control": ("a: x\x07y\n", "ORC101", 1, 5, "U+0007", {"a": "x\ufffdy"}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_once_with_its_place_and_the_rest_is_read(name: str) -> None:
    text, code, line, column, words, value = MISTAKES[name]
    reading = reading_of(text)
    assert [(d.code, d.span.start.line, d.span.start.column) for d in reading.diagnostics] == [(code, line, column)]
    assert words in reading.diagnostics[0].message
    assert reading.diagnostics[0].help
    assert reading.root is not None
    assert plain_data(reading.root) == value


@pytest.mark.parametrize("name", MISTAKES)
def test_a_fix_mends_its_mistake(name: str) -> None:
    text = MISTAKES[name][0]
    first = reading_of(text).diagnostics[0]
    if first.fix is not None and name not in (
        "text not indented",
        "tab first",
        "tab before item",
        "item",
    ):  # those take several lines
        assert not reading_of(apply_fix(text, first)).diagnostics


@pytest.mark.parametrize("name", MISTAKES)
def test_no_message_has_internal_words(name: str) -> None:
    text = render_text(reading_of(MISTAKES[name][0]).diagnostics).lower()
    for word in ("libyaml", "scanner", "parser", "token", "pydantic", "mark", "node", "scalar"):
        assert word not in text


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "ORC107", "empty"),
        ("# only a comment\n", "ORC107", "empty"),
        ("- a\n- b\n", "ORC107", "not a list"),
        ("just text\n", "ORC107", "not a single value"),
        ("\0\1\2\3" * 50, "ORC100", "not a text file"),
    ],
)
def test_what_is_no_mapping_is_no_pipeline(text: str, code: str, words: str) -> None:
    document = read_document(text + "\n", name="f.yaml")
    assert [d.code for d in document.diagnostics] == [code]
    assert words in document.diagnostics[0].message
    assert document.spec.steps == ()


@pytest.mark.parametrize(
    "text",
    ["a: 1\n\t\nb: 2\n", "a:\n  b: 1\n\t# note\n  c: 2\n", "\ufeffa: 1\n", "a: 1\r\nb: 2\r\n"],
)
def test_what_harms_nothing_is_not_reported(text: str) -> None:
    assert read_document(text + "steps: [{id: a, tool: x}]\n").diagnostics == tuple(
        d for d in read_document(text + "steps: [{id: a, tool: x}]\n").diagnostics if d.code == "ORC201"
    )


def test_merge_keys_add_what_the_mapping_does_not_set() -> None:
    reading = reading_of("base: &b {x: 1, y: 1}\nmore: &m {y: 2, z: 2}\nall:\n  y: 3\n  <<: [*b, *m]\n")
    assert reading.root is not None
    assert plain_data(reading.root)["all"] == {"x": 1, "y": 3, "z": 2}


def test_an_anchor_may_be_defined_again() -> None:
    reading = reading_of("a: &x 1\nb: *x\nc: &x 2\nd: *x\n")
    assert reading.root is not None
    assert plain_data(reading.root) == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_ten_mistakes_in_one_file_are_ten_diagnostics() -> None:
    text = (
        "inputs:\n  topic: x\n"
        "steps:\n"
        "  - id: one\n\ttool: a\n"  # 1 tab
        "  - id: two\n    tool: {{ topic }}\n"  # 2 unquoted template
        "  - id: three\n    tool: a\n    tool: b\n"  # 3 duplicate key
        "  - id: four\n    tool: a\n    paramters: {}\n"  # 4 unknown key
        "  - id: five\n    tool: a\n    retry: many\n"  # 5 wrong type
        "  - tool: a\n"  # 6 no id
        "  - id: one\n    tool: a\n"  # 7 duplicate id
        "  - id: eight\n    tool: a\n    timeout: 5 parsecs\n"  # 8 bad duration
        "  - id: nine\n    description: a: b\n    tool: a\n"  # 9 colon
        "  - id: ten\n    tool: a\n    name: 'x\n"  # 10 quote
    )
    codes = sorted(d.code for d in read_document(text).diagnostics)
    expected = ["ORC101", "ORC101", "ORC102", "ORC103", "ORC104", "ORC201", "ORC202", "ORC203", "ORC204", "ORC206"]
    assert codes == expected


EVIL = {
    "deep brackets": "x: " + "[" * 5_000,
    "deep closed brackets": "x: " + "[" * 5_000 + "]" * 5_000,
    "deep mappings": "x: " + "{a: " * 5_000,
    "deep indentation": "".join(" " * level + "a:\n" for level in range(1_000)),
    "deep items": "x:\n" + "- " * 5_000,
    "alias bomb": "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
    "deep aliases": "a0: &a0 []\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 500)),
    "merge bomb": "a: &a {" + ",".join(f"k{n}: 1" for n in range(2_000)) + "}\nb:\n" + "  - <<: *a\n" * 500,
    "long line": "steps: " + "a" * 10_000_000,
}


@pytest.mark.parametrize("name", EVIL)
def test_an_evil_file_is_over_its_budget(name: str) -> None:
    assert [d.code for d in read_document(EVIL[name] + "\n").diagnostics] == ["ORC105"]


@settings(max_examples=150)
@given(
    st.text(alphabet=st.sampled_from(list("ab:-#'\"[]{}|>&*!%@`,?\\ \n\t\r\ufeff\x85\u2028é😀0~<.")), max_size=80)
    | st.text(max_size=60)
)
def test_any_text_is_read_without_an_exception(text: str) -> None:
    document = read_document(text + "\n")
    rendered = render_text(document.diagnostics)
    assert "\x1b" not in rendered
    lines = document.source.lines
    for diagnostic in document.diagnostics:
        assert 1 <= diagnostic.span.start.line <= len(lines)
        assert diagnostic.span.start <= diagnostic.span.end
        assert diagnostic.span.start.column <= len(lines[diagnostic.span.start.line - 1]) + 1


PIPELINE = """\
inputs:
  topic: {type: string, default: "solar"}
steps:
  - id: fetch
    tool: http
    parameters:
      url: "https://example.org/{{ topic }}"
      note: |
        two
        lines
    retry: {max_attempts: 3, delay: 1s}
  - id: write
    tool: filesystem
    action: write
    if: "{{ fetch.ok }}"
outputs:
  path: "{{ write.path }}"
"""


@settings(max_examples=150)
@given(st.data())
def test_a_pipeline_with_a_few_characters_changed_is_read_without_an_exception(data: st.DataObject) -> None:
    text = PIPELINE
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        width = data.draw(st.integers(0, 3))
        text = text[:place] + data.draw(st.text("{}[]'\"\t :-#&*\n|", max_size=3)) + text[place + width :]
    render_text(read_document(text).diagnostics)


PIECES_OF_TEXT = ["a", "😀", "\\ud83d", "\\uD83D\\uDe00", "\\ue03d", "\ue03d", "\uf7ff", "\ue800", "\ue003"]
TEXTS_OF_JSON = st.lists(
    st.sampled_from([*PIECES_OF_TEXT, "\u2028", "\x85", "\u2029", '"', "\\", "\n", "\t"])
    | st.characters(exclude_categories=["Cs"]),
    max_size=8,
).map("".join)


@given(value=st.dictionaries(TEXTS_OF_JSON, TEXTS_OF_JSON | st.lists(TEXTS_OF_JSON, max_size=3), max_size=4))
@example(value={"😀": "\\ud83d\\ude00", "b": "😀\u2028"})
def test_json_reads_as_what_it_is_with_pairs_of_escapes_too(value: dict[str, object]) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only).replace("\x7f", "\\u007f").replace("\ufeff", "\\ufeff")
        if re.search("[\x80-\x84\x86-\x9f\ufffe\uffff]", text) or "\ufeff" in text:
            continue  # these is not allowed in YAML but as escapes
        reading = read_tree(Source.of("a.json", text))
        assert [problem.message for problem in reading.diagnostics] == [] or not value
        assert reading.root is None or plain_data(reading.root) == value


@pytest.mark.parametrize("with_libyaml", [True, False])
@pytest.mark.parametrize(
    ("text", "value", "messages"),
    [
        (r'"\ud83d\ude00\ud83D\uDe00"', "😀😀", []),
        (r'"\ud83d\ude00 \ud83d"', "😀 �", [r"`\ud83d` is half of a character"]),
        (r'"\udc00"', "�", [r"`\udc00` is half of a character"]),
        (r'"\U00110000"', "�", [r"`\U00110000` is not a Unicode character"]),
        (r"'\ud83d\uDE00 \ud83d'", r"\ud83d\uDE00 \ud83d", []),
        (r"\uD83d\ude00", r"\uD83d\ude00", []),
        (r'"\\ud83d \ue000"', "\\ud83d \ue000", []),
    ],
)
def test_an_escape_is_for_a_character_or_for_both_halves_of_one(
    text: str, value: str, messages: list[str], with_libyaml: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", with_libyaml and yaml.__with_libyaml__)
    reading = reading_of(f"a: {text}\n")
    assert [problem.message for problem in reading.diagnostics] == messages
    assert reading.root is not None
    assert plain_data(reading.root) == {"a": value}
