"""Every filter, test and method that Jinja2 has too, with values and arguments at the edge, gives what it gives there.

What we refuse on purpose, and what we write otherwise by a rule of ours, is listed here; nothing else may differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator.expressions import parse_template
from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.functions import FUNCTIONS
from orchestrator.expressions.builtins.methods import METHODS
from orchestrator.expressions.builtins.tests import TESTS
from tests.expressions.test_differential import JINJA, expected, outcome

VALUES: Final[tuple[Any, ...]] = (
    *(
        "",
        " ",
        "a",
        "Ab cD",
        "  pad\t",
        "ünï ß",
        "42",
        "-7.5",
        "1e3",
        "0x1F",
        "12_000",
        "true",
        "None",
        "a,b,,c",
        "%s",
        "\u2028",
    ),
    *(
        "<b>a</b> &amp; <!-- x <p> -->y",
        "<",
        "a<b",
        "<!-- <!-- --> -->",
        'it\'s "q"',
        "line\n two\r\nthree\n",
        "x" * 300,
    ),
    *("the quick-brown fox jumps over the lazy dog", "http://a.b/c?d=e&f#g", "ǆ", "İ", "\x00", "😀 smile"),
    *(0, 1, -1, 3, 255, 10**20, -(2**63), 0.0, -0.0, 0.5, 1.5, 2.5, -2.675, 1e16, 1e-7, 1e300, True, False, None),
    *(
        [],
        [1],
        [3, 1, 2],
        [1, 1.0, True],
        ["b", "A", "a", "B"],
        [None, 1],
        [None],
        ["x", 1],
        [[1, 2], [1]],
        [""],
        [0, False],
    ),
    *(
        [{"k": 1, "n": "x"}, {"k": None, "n": "X"}, {"n": "y"}],
        [{"k": {"d": 1}}, {"k": {}}, {"k": None}],
        [{"k": 2}, {"k": 1}],
    ),
    *({}, {"a": 1}, {"b": 2, "a": None, "C": [1]}, {"k": {"d": 0}, "n": ""}, [["a", 1], ["b", 2]], ["ab", "cd"]),
)

FILTER_ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "default": ("", "'d'", "'d', true", "none", "default_value='x', boolean=false"),
    "d": ("'d'",),
    "round": ("", "1", "-1", "0, 'ceil'", "2, 'floor'", "method='common'", "precision=3"),
    "int": ("", "7", "0, 16", "default=-1", "base=8"),
    "float": ("", "1.5", "default=none"),
    "filesizeformat": ("", "true"),
    "tojson": ("", "indent=2"),
    "trim": ("", "'a'", "' \\t'", "chars='xp'"),
    "replace": ("'a', 'b'", "'', '-'", "'a', ''", "' ', '__', 1", "'a', 'b', 0"),
    "truncate": ("", "5", "5, true", "10, false, '..'", "9, true, '', 0", "3", "20, leeway=0"),
    "wordwrap": ("", "5", "5, false", "7, true, '|'", "width=10, break_on_hyphens=false"),
    "indent": ("", "2", "'> '", "2, true", "2, true, true", "width=0", "first=true"),
    "center": ("", "9", "0"),
    "join": ("", "', '", "'-', attribute='n'", "attribute='k'", "d=1"),
    "batch": ("2", "3, 'x'", "1"),
    "slice": ("2", "3, 'x'", "1", "7"),
    "sort": (
        "",
        "true",
        "false, true",
        "attribute='k'",
        "attribute='n'",
        "attribute='n,k'",
        "reverse=true, attribute=0",
    ),
    "unique": ("", "true", "attribute='n'", "false, 'k'", "attribute='k.d'"),
    "min": ("", "true", "attribute='k'", "attribute='n'"),
    "max": ("", "true", "attribute='k'", "attribute='n'"),
    "sum": ("", "'k'", "start=10", "attribute='k', start=0.5", "attribute=1"),
    "groupby": (
        *(
            "'k'",
            "'n'",
            "'k', default=0",
            "'k.d', default=9",
            "'n', case_sensitive=true",
            "attribute='n', default=''",
            "0",
        ),
    ),
    "map": (
        *(
            "'upper'",
            "'string'",
            "attribute='k'",
            "attribute='k', default='-'",
            "attribute='k.d', default=0",
            "'int', 7",
        ),
        *("attribute='missing', default=[]", "attribute=0", "attribute='0'", "'default', 'x'", "'replace', 'a', 'b'"),
        *("attribute='k.d.e', default={'e': 1}", "'round', precision=1", "'length'", "'first'", "'default', 'x', true"),
    ),
    "select": ("", "'odd'", "'none'", "'gt', 1", "'string'", "'in', [1, 'b']", "'defined'"),
    "reject": ("", "'odd'", "'none'", "'gt', 1", "'string'", "'equalto', 1"),
    "selectattr": (
        "'k'",
        "'k', 'none'",
        "'k', 'equalto', 1",
        "'n', 'string'",
        "'k', 'defined'",
        "'k.d'",
        "'k.d', 'undefined'",
        "0",
    ),
    "rejectattr": ("'k'", "'k', 'none'", "'k', 'equalto', 1", "'n', 'upper'", "'k', 'defined'", "'missing'"),
    "dictsort": ("", "true", "false, 'value'", "by='key', reverse=true"),
    "format": ("1", "'a'", "x=1"),
    "list": ("",),
}
TEST_ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "divisibleby": ("3", "1", "0.5"),
    "in": ("[1, 'a', none]", "'abcAb'", "{'a': 1}", "[]", "[[1]]"),
    **dict.fromkeys(("eq", "equalto", "ne", "==", "!="), ("1", "'a'", "none", "true", "[1]", "1.0", "{'a': 1}")),
    **dict.fromkeys(
        ("lt", "lessthan", "le", "gt", "greaterthan", "ge", "<", "<=", ">", ">="), ("1", "'a'", "[1]", "0.5")
    ),
    "sameas": ("false", "none", "true", "v"),
}
METHOD_ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("strip", "lstrip", "rstrip"), ("", "'a'", "' xp'", "none")),
    **dict.fromkeys(("split", "rsplit"), ("", "','", "' '", "none, 1", "',', 1", "',', 0", "sep=',', maxsplit=2")),
    "join": ("['a', 'b']", "[]", "['x']"),
    **dict.fromkeys(("startswith", "endswith"), ("'a'", "''", "'x'")),
    **dict.fromkeys(("removeprefix", "removesuffix"), ("'a'", "''", "'xx'")),
    "replace": ("'a', 'b'", "'', '-'", "'x', '', 2"),
    "find": ("'a'", "''", "'zz'"),
    "rfind": ("'a'", "''"),
    "count": ("'a'", "''", "1", "none", "true"),
    "index": ("'a'", "1", "true"),
    "get": ("'a'", "'a', 5", "'k'", "'missing', none"),
    **dict.fromkeys(("ljust", "rjust", "center"), ("5", "5, '*'", "0")),
    "zfill": ("5", "0"),
    "partition": ("','", "'zz'"),
    "rpartition": ("','",),
}


def same_type(value: Any, kinds: tuple[str, ...]) -> bool:
    """Whether a value is of one of the kinds that a method is of."""
    kind = {str: "string", list: "array", dict: "object"}.get(type(value), "")
    return kind in kinds


def differences(template: str, values: tuple[Any, ...] = VALUES) -> list[str]:
    """What the two engines give, where that differs."""
    parsed = parse_template(template)
    found, compared = [], 0
    for value in values:
        names = {"v": value}
        theirs = expected(template, names)
        if theirs is None:
            continue  # we may accept more
        compared += 1
        ours = f"problem: {parsed.problems[0].message}" if parsed.problems else outcome(parsed, names)
        if ours != theirs and not any(words in ours for words in REFUSED):
            found.append(f"{template} of {value!r}: Jinja2 {theirs!r}, ours {ours!r}")
    return found if compared else [f"{template}: Jinja2 refuses all values, so nothing is compared"]


REFUSED: Final = (
    "has more than 300 digits",
    "so it has no field",  # undefined is an error: here the key of the only item, which is compared with nothing
    "has no item",
    "so there is no `[",
    "so it has no `[",
    "is not a number",  # `'%s' % 2` fills in text in Python, so that even `'%s' is odd` has an answer
    "takes a string, an object, or a list of pairs",  # a text of two characters is a pair in Python
    "there are more placeholders than arguments",  # `'%s' % {'x': 1}` writes the object
)
"""What is in the errors for what we refuse on purpose."""

COMMON_FILTERS = sorted(name for name in FILTERS if name in JINJA.filters)
COMMON_TESTS = sorted(name for name in TESTS if name in JINJA.tests)


def test_what_jinja2_has_and_we_have_not_is_on_the_page_of_expressions() -> None:
    ours = {"filters": FILTERS, "tests": TESTS, "globals": FUNCTIONS}
    page = (
        (Path(__file__).parents[2] / "docs/expressions.md")
        .read_text("utf-8")
        .partition("Not supported, with an error")[2]
    )
    missing = {name for kind, table in ours.items() for name in getattr(JINJA, kind) if name not in table}
    assert {name for name in missing if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("name", COMMON_FILTERS)
def test_a_filter_gives_what_it_gives_in_jinja2(name: str) -> None:
    templates = [f"{{{{ v | {name}({given}) }}}}" for given in FILTER_ARGUMENTS.get(name, ("",))]
    assert [line for template in templates for line in differences(template)] == []


@pytest.mark.parametrize("name", COMMON_TESTS)
def test_a_test_gives_what_it_gives_in_jinja2(name: str) -> None:
    templates = [f"{{{{ v is {name}({given}) }}}}" for given in TEST_ARGUMENTS.get(name, ("",))]
    templates += [f"{{{{ v is not {name} }}}}"] if name not in TEST_ARGUMENTS else []
    if not name.isalpha():
        templates = [f"{{{{ [v] | select('{name}', {given}) | list | length }}}}" for given in TEST_ARGUMENTS[name]]
    assert [line for template in templates for line in differences(template)] == []


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_gives_what_it_gives_in_jinja2(name: str) -> None:
    values = tuple(value for value in VALUES if same_type(value, METHODS[name].accepts))
    templates = [f"{{{{ v.{name}({given}) }}}}" for given in METHOD_ARGUMENTS.get(name, ("",))]
    assert [line for template in templates for line in differences(template, values)] == []
