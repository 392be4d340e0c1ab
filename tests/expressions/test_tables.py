"""Every filter, test, function and method does what its documentation shows."""

from __future__ import annotations

import inspect
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from orchestrator.expressions import EvaluationError, parse_template
from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.functions import FUNCTIONS
from orchestrator.expressions.builtins.methods import METHODS
from orchestrator.expressions.builtins.reference_page import builtins_markdown
from orchestrator.expressions.builtins.tests import TESTS
from tests.expressions.conftest import evaluate, scope

if TYPE_CHECKING:
    from orchestrator.expressions.builtins.builtin import Builtin

ENTRIES = list(chain(FILTERS.values(), TESTS.values(), FUNCTIONS.values(), METHODS.values()))

REQUIRED_FILTERS = {
    *("default", "length", "join", "upper", "lower", "title", "capitalize", "trim", "replace", "truncate", "round"),
    *("int", "float", "string", "list", "first", "last", "sort", "unique", "reverse", "map", "select", "reject"),
    *("selectattr", "rejectattr", "groupby", "sum", "min", "max", "abs", "batch", "slice", "items", "dictsort"),
    *("tojson", "indent", "wordcount", "wordwrap", "urlencode", "pprint", "format", "escape", "slugify", "from_json"),
    *("to_json", "regex_replace", "regex_search", "regex_findall", "basename", "dirname", "date", "markdown_table"),
    *("truncate_words", "hash"),
}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_example_of_each_entry_gives_its_result(entry: Builtin) -> None:
    template, result = entry.example
    parsed = parse_template(template)
    assert parsed.problems == ()
    assert parsed.infer({}).problems == ()
    assert parsed.render(scope()) == result
    assert entry.summary.endswith(".")


def test_the_reference_page_shows_each_entry_once() -> None:
    page = builtins_markdown()
    for entry in ENTRIES:
        if not entry.alias_of:
            assert entry.example[0] in page


def test_all_promised_filters_are_there() -> None:
    assert FILTERS.keys() >= REQUIRED_FILTERS


@pytest.mark.parametrize("entry", [e for e in ENTRIES if not e.alias_of], ids=lambda entry: entry.name)
def test_a_table_knows_the_arguments_of_its_functions(entry: Builtin) -> None:
    names = [
        name for name, p in inspect.signature(entry.function).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert [parameter.name for parameter in entry.parameters] == names[len(names) - len(entry.parameters) :]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ none | upper }}|{{ 5 | upper }}|{{ [1] | upper }}", "|5|[1]"),
        ("{{ 'x' | truncate(3) }}{{ 'a b c d e f' | truncate(5, leeway=0) }}", "xa..."),
        ("{{ 'abcdefgh' | truncate(5, true, '.', 0) }}", "abcd."),
        ("{{ 2.5 | round }} {{ 2.25 | round(1, 'ceil') }} {{ 5 | round }} {{ 1234 | round(-2) }}", "2.0 2.3 5 1200"),
        (
            "{{ 'x' | int }} {{ 'x' | int(7) }} {{ 'ff' | int(0, 16) }} {{ none | int }} {{ '1e3' | int }}",
            "0 7 255 0 1000",
        ),
        ("{{ 'x' | float }} {{ '1.5' | float }} {{ 'nan' | float }}", "0.0 1.5 0.0"),
        ("{{ ['b', 'A'] | sort }} {{ ['b', 'A'] | sort(case_sensitive=true) }}", '["A", "b"] ["A", "b"]'),
        ("{{ [{'a': 2, 'b': 1}, {'a': 1, 'b': 2}] | sort(attribute='a,b') | map(attribute='b') }}", "[2, 1]"),
        ("{{ [{'a': {'b': 1}}] | map(attribute='a.b') }}", "[1]"),
        ("{{ [{'a': 1}, {}] | map(attribute='a', default=0) }}", "[1, 0]"),
        ("{{ [{'a': 1}, {}] | selectattr('a', 'defined') }}", '[{"a": 1}]'),
        ("{{ ['a', 'b'] | map('replace', 'a', 'x') | join }}", "xb"),
        ("{{ [1, 2, 3, 4] | reject('in', [2, 3]) }}", "[1, 4]"),
        ("{{ [3, 1] | min }}{{ ['b', 'C'] | max }}", "1C"),
        ("{{ [[1, 2], [1, 2], {'a': 1}] | unique }}", '[[1, 2], {"a": 1}]'),
        ("{{ {'b': 1, 'a': 2} | dictsort(by='value') }}", '[["b", 1], ["a", 2]]'),
        ("{{ {'a': 'x y'} | urlencode }} {{ 'a/b c' | urlencode }}", "a=x+y a/b%20c"),
        ("{{ 'Straße in Łódź — 100 %' | slugify }}", "straße-in-łodz-100"),
        ("{{ 0 | date }} {{ '2026-02-03' | date('%-d %B %Y') }}", "1970-01-01 3 February 2026"),
        ("{{ 'a.b-c' | regex_replace('[.-]', '_') }} {{ 'ab12' | regex_search('([a-z]+)(\\\\d+)', 2) }}", "a_b_c 12"),
        ("{{ 'k=v; a=b' | regex_findall('(\\\\w)=(\\\\w)') }}", '[["k", "v"], ["a", "b"]]'),
        ("{{ 'ABC' | regex_search('b', ignorecase=true) }}{{ 'x' | regex_search('y') is none }}", "Btrue"),
        (
            "{{ [{'a': 'x|y'}, {'b': 1}] | markdown_table(['a', 'b']) }}",
            "| a | b |\n| --- | --- |\n| x\\|y |  |\n|  | 1 |",
        ),
        ("{{ '%(a)s %5.1f%%' | format(2, a='x') if false else '%(a)s' | format(a='x') }}", "x"),
        ("{{ {'b': 1, 'a': 'é'} | to_json(indent=1, sort_keys=true) }}", '{\n "a": "é",\n "b": 1\n}'),
        ("{{ 'a\\nb\\n\\nc' | indent(2, true) }}", "  a\n  b\n\n  c"),
    ],
)
def test_a_filter_does_what_its_name_says(template: str, text: str) -> None:
    assert parse_template(template).render(scope()) == text


def test_a_number_that_json_does_not_know_never_comes_out() -> None:
    for text in ("{{ '[NaN]' | from_json }}", "{{ 1e308 * 10 }}", "{{ 10 ** 400 * 1.0 }}"):
        with pytest.raises(EvaluationError):
            evaluate(text)


@pytest.mark.parametrize("missing", ["none", "{'a': 1}.b", "{'a': none}.a"])
def test_a_value_that_is_required_is_there_or_an_error_in_the_words_that_were_given(missing: str) -> None:
    assert evaluate("{{ 0 | required }}") == 0
    assert evaluate("{{ '' | required }}") == ""
    with pytest.raises(EvaluationError, match="a value is required"):
        evaluate(f"{{{{ {missing} | required }}}}")
    with pytest.raises(EvaluationError, match="nobody said"):
        evaluate(f"{{{{ {missing} | required('nobody said') }}}}")
