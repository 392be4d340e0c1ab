"""Patterns mean what they mean in Python's `re`, or in ECMA-262, and take linear time."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.patterns import PatternError, SearchTooLong, compile_pattern, parse_pattern, read_replacement

CHARACTERS = "ab cdéЯяßſKkİıi\n\r1٣_-,xyXYzK²½漢\u2028\u0085ẞSsµμΣσς"
TEXTS = st.text(alphabet=CHARACTERS, max_size=20)
SOME_TEXT = st.text(alphabet=CHARACTERS, min_size=1, max_size=20)
"""Where the text is empty, older Pythons differ among themselves in `\\B`."""
NO_DEADLINE = settings(max_examples=150)

ATOMS = st.sampled_from(
    [
        "a", "b", "é", "k", "ſ", "ß", ".", r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"\n", r"\x61", r"\u00e9", "[ab]",
        "[^a]", r"[\w-]", "[a-zé]", r"[^\W\d_]", r"[\s,]", "[]a]", r"[^\]-]", r"\.", r"\141", "-", "1", "x",
        "Я", "漢", "K",
    ]
)  # fmt: skip
ASSERTIONS = st.sampled_from(["^", "$", r"\b", r"\B", r"\A", r"\Z"])
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,1100}", "{,2}", "+?", "??", "{1,}?"])


def branches(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sequence = st.lists(parts, min_size=1, max_size=4).map("".join)
    return st.lists(sequence, min_size=1, max_size=3).map("|".join)


def patterns(repeats: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeated = st.tuples(ATOMS, repeats).map("".join)
    inner = branches(st.one_of(repeated, repeated, ASSERTIONS))
    group = st.tuples(st.sampled_from(["(", "(?:", "(?i:", "(?s:", "(?a:"]), inner, st.just(")"), repeats).map("".join)
    return st.tuples(st.sampled_from(["", "", "(?i)", "(?s)"]), branches(st.one_of(repeated, group, ASSERTIONS))).map(
        "".join
    )


def spans(pattern: str, text: str) -> list[tuple[int, int]]:
    return [(match.start, match.end) for match in compile_pattern(pattern, "python").finditer(text)]


def expected(pattern: str, text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(pattern, text)]


@NO_DEADLINE
@given(patterns(REPEATS), SOME_TEXT)
def test_the_first_match_is_that_of_python(pattern: str, text: str) -> None:
    if (
        parse_pattern(pattern, "python").unsupported is not None
    ):  # boundaries of words of Unicode and of ASCII in one pattern
        return
    try:
        compiled = compile_pattern(pattern, "python")
    except PatternError as error:
        assume("too large" not in str(error) and "repeats too much" not in str(error))
        raise
    found = compiled.search(text)
    wanted = re.search(pattern, text)
    assert (found and (found.start, found.end)) == (wanted and wanted.span())
    assert compiled.matches(text) == (wanted is not None)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\w+", r"\bé\w*\b", r"[^\W\d_]+", r"(?i)straße", r"(?i)[k-m]+", "a$", "^a|b$", "(?m)^.*$", "(?s).+",
        r"(\w)(\d)?", r"(?P<x>a+)|(b)", "x{0,1200}y", "(?:[a-z]{2,40},){1,40}", "(a|b){3}", r"(?:a|ab)(?:c|bcd)(d*)",
        r"\Aa|b\Z",
        r"\B.\B", "(?x) a b # c", r".*?,", "$", r"\n$", "x*", "(?i)[^k]+", "(?i)ſ+", "(?i)i", "(x)?(y)?", "(?m)^",
        "(?m)$", r"([ab]{2,3}){1,500}", "(?i:AB)c", "(?<=a)b", "(?<!a)b", r"(?<!\d)1(?!\d)", r"\w+(?=,)",
        r"^(?=.*\d)(?!.*x).{3,}$", "(?<=ab|cd)x", "(?<=x)", "a*(?=b)",
        r"(?<=\b)é", r"(?<![\wé])b(\w)?(?=(,))", r"(?i)(?<!K)b", "(?<!,)$",
    ],
)  # fmt: skip
@settings(max_examples=40)
@given(st.lists(TEXTS, min_size=5, max_size=5))
def test_all_matches_and_groups_are_those_of_python(pattern: str, texts: list[str]) -> None:
    compiled = compile_pattern(pattern, "python")
    for text in texts:
        found = [((match.start, match.end), match.groups()) for match in compiled.finditer(text)]
        assert found == [(match.span(), match.groups()) for match in re.finditer(pattern, text)]


def test_sets_hold_the_characters_that_they_hold_in_python() -> None:
    everything = "".join(chr(code) for code in range(0x30000) if not 0xD800 <= code < 0xE000)
    for pattern in (r"\w", r"\d", r"\s", r"[^\W_]"):
        found = {match.group() for match in compile_pattern(pattern, "python").finditer(everything, seconds=60)}
        assert found == set(re.findall(pattern, everything))


def test_case_is_that_of_python() -> None:
    cased = [chr(code) for code in range(0x600) if chr(code).lower() != chr(code).upper()] + list("ẞKÅ")
    text = "".join(dict.fromkeys([*cased, *(each for char in cased for each in char.lower() + char.upper())]))
    for char in cased[::7]:
        assert spans(f"(?i){char}", text) == expected(f"(?i){char}", text), char


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        ("^abc$", "abc\n", False),
        (r"^\cC$", "\x03", True),
        (r"^\d$", "٣", False),
        (r"^\w$", "é", False),
        (r"^\W$", "é", True),
        (r"^\s$", "\ufeff", True),
        (r"^\S$", "\u2029", False),
        ("^.$", "🐲", True),
        ("^.$", "\u2028", False),
        (r"^\p{Letter}+$", "aЖ", True),
        (r"^\P{L}$", "a", False),
        (r"^[\p{Lu}\d]+$", "A1", True),
        (r"\p{Script=Greek}", "α", True),
        (r"^\u{1F432}$", "🐲", True),
        (r"^\uD83D\uDC32*$", "🐲🐲", True),
        (r"[^]", "\n", True),
        ("[]", "x", False),
        (r"^\/\-$", "/-", True),
        ("^(?<year>[0-9]{4})$", "2024", True),
        ("a{,2}", "a{,2}", True),
        ("^(?!.*[.][.])[a-z.]+@x$", "a..b@x", False),
        ("^(?!.*[.][.])[a-z.]+@x$", "a.b@x", True),
    ],
)
def test_patterns_of_schemas_are_those_of_ecma(pattern: str, text: str, holds: bool) -> None:
    assert compile_pattern(pattern, "ecma").matches(text) is holds


@pytest.mark.parametrize(
    "pattern",
    ["(a|b", "[a", "a**", "(?P<1>a)", "*a", "a{3,2}", r"(\2)", "(?P=x)", "a(?i)b", r"\q", "[b-a]", r"\p{Foo}", "a)",
     "(?#c", "x" * 10_001, "(?:" * 200 + ")" * 200, "\\", "(?", "(?P<x", "(?P<x>a)(?P<x>b)",
     r"\x1", r"\u12", r"\N{NOTHING}",
     "a{100000000000}", "((){100000}){100000}", "(((a{100}){100}){100}){100}", "|".join(["x{999}"] * 99)],
)  # fmt: skip
def test_what_cannot_be_used_is_an_error_in_words(pattern: str) -> None:
    said = []
    for dialect in ("python", "ecma"):
        try:
            compile_pattern(pattern, dialect).matches("a" * 100)  # type: ignore[arg-type]
        except PatternError as error:
            said.append(str(error))
    assert all(5 < len(each) < 200 for each in said)


@pytest.mark.parametrize(
    "pattern", ["a++", "(?>a)", r"(a)\1", "(?P<x>a)(?P=x)", "a(?=b)c", "(?=.*a)b", "(?<!ab)c", "(a)?(?(1)b|c)"]
)
def test_what_takes_more_than_linear_time_is_read_and_refused_with_help(pattern: str) -> None:
    parse_pattern(pattern, "python")
    with pytest.raises(PatternError, match="not supported") as caught:
        compile_pattern(pattern, "python")
    assert caught.value.help


@NO_DEADLINE
@given(st.text(alphabet="()[]{}|*+?^$\\.abdwsWpnxuPiL<>=!:#-,019é ", max_size=25), TEXTS)
def test_no_pattern_whatever_raises_anything_else(pattern: str, text: str) -> None:
    for dialect in ("python", "ecma"):
        try:
            compiled = compile_pattern(pattern, dialect)  # type: ignore[arg-type]
            list(compiled.finditer(text))
        except (PatternError, SearchTooLong):
            continue
        if dialect == "python" and not re.search(r"\\[pPzk]|\(\?<[^=!]", pattern):
            re.compile(pattern)


def test_a_text_of_many_characters_is_searched() -> None:
    text = "".join(chr(code) for code in range(0x4E00, 0x9FFF)) * 10
    assert len(spans(r"\b\w+\b", text)) == 1
    assert compile_pattern("[一-龠]+終$", "python").matches(text) is False


REPLACEMENTS = st.lists(
    st.sampled_from(["x", r"\1", r"\2", r"\g<n>", r"\g<0>", r"\n", r"\\", r"\t", r"\03", r"\141", "é", r"\-", " "]),
    max_size=4,
).map("".join)


@NO_DEADLINE
@given(REPLACEMENTS, TEXTS, st.integers(0, 3))
def test_a_replacement_is_that_of_python(replacement: str, text: str, count: int) -> None:
    pattern = r"(?P<n>[a-d]+)|(\d)"
    written = read_replacement(replacement, compile_pattern(pattern, "python"))
    assert written.replaced(text, count, most=10_000) == re.subn(pattern, replacement, text, count=count)


@pytest.mark.parametrize("replacement", ["\\", r"\3", r"\g<m>", r"\g", r"\q", r"\g<9>"])
def test_a_replacement_that_is_wrong_is_an_error(replacement: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_replacement(replacement, compile_pattern("(?P<n>a)(b)", "python"))
