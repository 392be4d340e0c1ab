"""The exact place of a character: for any scalar of any style, offset to position and back gives that character."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.diagnostics import Source, Span
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence
from orchestrator.language.yaml.reader import read_tree

LETTERS = "ab zé漢😀\u0301'\"\\{}:#-%"


def root_of(text: str) -> Mapping:
    reading = read_tree(Source.of("f.yaml", text))
    assert reading.root is not None, reading.diagnostics
    assert not reading.diagnostics
    return reading.root


def character(text: str, scalar: Scalar, offset: int) -> str:
    place = scalar.position(offset)
    return Source.of("f", text).lines[place.line - 1][place.column - 1 : place.column]


def check(text: str, scalar: Scalar) -> None:
    """Every character that stands for itself is found where it stands."""
    for offset, expected in enumerate(scalar.text):
        found = character(text, scalar, offset)
        if expected in "\n " and found in ("", " ", "\\"):  # a folded or kept line break, or an escaped one
            continue
        if scalar.style == '"' and found == "\\":
            continue
        assert found == expected, (offset, scalar.position(offset))


words = st.text(alphabet="abé漢😀x'\"\\{}%#:", min_size=1, max_size=5)
plain_words = st.text(alphabet="abé漢😀x", min_size=1, max_size=5)


@st.composite
def quoted_scalars(draw: st.DrawFn) -> tuple[str, str]:
    """A quoted scalar, folded at random, and its indentation-proof raw text."""
    quote = draw(st.sampled_from("'\""))
    parts = draw(st.lists(words, min_size=1, max_size=6))
    gaps = draw(
        st.lists(st.sampled_from([" ", "  ", "\n      ", "\n\n      ", " \n\n\n      "]), min_size=6, max_size=6)
    )
    raw = ""
    for part, gap in zip(parts, gaps, strict=False):
        if quote == "'":
            raw += part.replace("'", "''") + gap
        else:
            raw += part.replace("\\", "\\\\").replace('"', '\\"').replace("é", "\\u00e9").replace("x", "\\x41") + gap
    return quote + raw.rstrip(" \n") + quote, quote


@st.composite
def block_scalars(draw: st.DrawFn) -> str:
    """A literal or folded scalar with any chomping, and an indentation indicator where it is needed."""
    style = draw(st.sampled_from("|>"))
    chomp = draw(st.sampled_from(["", "-", "+"]))
    indent = draw(st.integers(2, 5))
    lines = draw(
        st.lists(
            st.one_of(
                st.just(""),
                st.tuples(st.sampled_from(["", "", " ", "   "]), words, words).map(lambda t: f"{t[0]}{t[1]} {t[2]}"),
            ),
            min_size=1,
            max_size=8,
        )
    )
    indicator = str(indent) if draw(st.booleans()) or lines[0].startswith(" ") or not lines[0] else ""
    body = "".join((" " * (2 + indent) + line if line else "") + "\n" for line in lines)
    return f"{style}{indicator}{chomp}\n{body}"


@settings(max_examples=150)
@given(scalar=quoted_scalars(), line_break=st.sampled_from(["\n", "\r\n"]))
def test_a_quoted_scalar_knows_the_place_of_each_character(scalar: tuple[str, str], line_break: str) -> None:
    text = f"first: 1\nouter:\n  - key: {scalar[0]}\nlast: 2\n".replace("\n", line_break)
    outer = root_of(text).get("outer")
    assert isinstance(outer, Sequence)
    check(text, scalar_of(outer.items[0], "key"))


@settings(max_examples=150)
@given(scalar=block_scalars(), line_break=st.sampled_from(["\n", "\r\n"]))
def test_a_block_scalar_knows_the_place_of_each_character(scalar: str, line_break: str) -> None:
    text = f"first: 1\nouter:\n  key: {scalar}last: 2\n".replace("\n", line_break)
    node = scalar_of(root_of(text).get("outer"), "key")
    check(text, node)
    assert not node.text.strip() or node.position(0) != node.position(len(node.text) - 1) or len(node.text) == 1


@settings(max_examples=100)
@given(parts=st.lists(plain_words, min_size=1, max_size=6), gap=st.sampled_from([" ", "\n      ", "\n\n      "]))
def test_a_plain_scalar_of_several_lines_knows_the_place_of_each_character(parts: list[str], gap: str) -> None:
    text = f"outer:\n  key: {gap.join(parts)}\n"
    check(text, scalar_of(root_of(text).get("outer"), "key"))


def scalar_of(node: Node | None, key: str) -> Scalar:
    assert isinstance(node, Mapping)
    scalar = node.get(key)
    assert isinstance(scalar, Scalar)
    return scalar


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ("k: abc {{ x }}", "{{ x }}", Span.at(1, 8, 1, 15)),
        ('k: "é😀 {{ x }}"', "{{ x }}", Span.at(1, 8, 1, 15)),
        ("k: 'it''s {{ x }}'", "{{ x }}", Span.at(1, 11, 1, 18)),
        ('k: "\\u00e9 {{ x }}"', "{{ x }}", Span.at(1, 12, 1, 19)),
        ('k: "\\u00e9"', "é", Span.at(1, 5, 1, 11)),
        ("k: |\n  one\n  {{ x }} two\n", "{{ x }}", Span.at(3, 3, 3, 10)),
        ("k: |2-\n    one\n  {{ x }}\n", "{{ x }}", Span.at(3, 3, 3, 10)),
        ("k: >\n  one\n  {{ x }}\n", "one {{ x }}", Span.at(2, 3, 3, 10)),
    ],
)
def test_the_span_of_a_part_is_its_place_in_the_file(text: str, part: str, expected: Span) -> None:
    scalar = scalar_of(root_of(text), "k")
    start = scalar.text.index(part)
    assert scalar.span_of(start, start + len(part)) == expected


def test_the_place_behind_the_last_character_is_its_end() -> None:
    scalar = scalar_of(root_of("k: abc\n"), "k")
    assert scalar.position(3) == scalar.span.end


def test_a_block_mapping_ends_with_its_last_value() -> None:
    root = root_of("a:\n  b: 1\n  c: 22\n\n# comment\nd: 1\n")
    inner = root.get("a")
    assert inner is not None
    assert inner.span == Span.at(2, 3, 3, 8)


def test_places_stay_true_after_a_repair_on_the_same_line() -> None:
    reading = read_tree(Source.of("f", "a: {{ x }} and more\nb: [1, 2]\n"))
    assert reading.root is not None
    value = scalar_of(reading.root, "a")
    assert value.text == "{{ x }} and more"
    assert value.span_of(8, 11) == Span.at(1, 12, 1, 15)
    assert scalar_of(reading.root, "a").span == Span.at(1, 4, 1, 20)
