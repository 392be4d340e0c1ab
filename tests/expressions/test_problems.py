"""Problems found before a run: the code, the exact place, and how to fix it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from jinja2.tests import TESTS as JINJA_TESTS

from orchestrator.expressions import ANY, parse_expression, parse_template
from orchestrator.expressions.builtins.equivalents import FILTER_EQUIVALENTS, FUNCTION_EQUIVALENTS, TEST_EQUIVALENTS
from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.functions import FUNCTIONS
from orchestrator.expressions.builtins.tests import TESTS
from tests.expressions.conftest import evaluate

if TYPE_CHECKING:
    from orchestrator.expressions.builtins.builtin import Builtin


@pytest.mark.parametrize(
    ("template", "code", "culprit", "help"),
    [
        ("{{ a.b }", "ORC311", "}", "close it with `}}`"),
        ("{{ a", "ORC311", "{{", "close it with `}}`"),
        ("{% if a", "ORC311", "{%", "close it with `%}`"),
        ("a {# b", "ORC311", "{#", "close it with `#}`"),
        ("{% if a %}b", "ORC311", "{% if a %}", "add `{% endif %}` where the block ends"),
        (
            "{% for a in b %}{% if a %}{% endif %}",
            "ORC311",
            "{% for a in b %}",
            "add `{% endfor %}` where the block ends",
        ),
        (
            "{% for a in b %}{% if a %}x{% endfor %}c",
            "ORC311",
            "{% if a %}",
            "`{% endif %}` where the block ends, before `{% endfor",
        ),
        (
            "{% if a %}{% for b in c %}x{% else %}{% endfor %}",
            "ORC311",
            "{% if a %}",
            "`{% endif %}` where the block ends",
        ),
        ("{% if a %}{% for b in c %}x{% elif d %}{% endif %}", "ORC311", "{% for b in c %}", "before `{% elif %}`"),
        ("{% for a in b %}{% set c %}{% if a %}x{% endset %}{% endfor %}", "ORC311", "{% if a %}", "before `{% endset"),
        ("{% for a in b %}{% if a %}x{% endfor %}{% endif %}", "ORC311", "{% if a %}", "before `{% endfor %}`"),
        ("{% raw %}{{ a }}", "ORC311", "{% raw %}", "add `{% endraw %}` where the block ends"),
        ("{{ a %}", "ORC310", "%}", "close it with `}}`"),
        ("{{ }}", "ORC310", "{{ }}", "write a value"),
        ("{{ a + }}", "ORC310", "+ }}", None),
        ("{{ a && b }}", "ORC310", "&", "write `and`"),
        ("{{ a || b }}", "ORC310", "|", "write `or`"),
        ("{{ !a }}", "ORC310", "!", "write `not`"),
        ("{{ a = 1 }}", "ORC310", "=", "write `==`"),
        ("{{ a === 1 }}", "ORC310", "=", "write `==`"),
        ("{{ a ? 1 : 2 }}", "ORC310", "?", "write `a if condition else b`"),
        ("{{ $a }}", "ORC310", "$", "write `a`: only the loop variables"),
        ("{{ $items }}", "ORC310", "$", "write `items`: only the loop variables"),
        ("{{ a ~ $ }}", "ORC310", "$", "without `$`"),
        ("{{ “a” }}", "ORC310", "“", "straight quotes"),
        ("{{ a b }}", "ORC310", "b", "put an operator"),
        ("{{ 'abc }}", "ORC310", "'", "close it with `'`"),
        ("{{ f('abc) }} it's", "ORC310", "'", "close it with `'`"),
        ("{{ [1, 2 }}", "ORC310", "[", "close it with `]`"),
        ("{{ a) }}", "ORC310", ")", "remove it"),
        ("{{ a + {{ b }} }}", "ORC310", "{{ b }}", "remove the inner braces"),
        ("{% if {{ a }} %}x{% endif %}", "ORC310", "{{ a }}", "remove the inner braces"),
        ("{{ 012 }}", "ORC310", "012", "write `12`"),
        ("{{ '\\x1' }}", "ORC310", "'\\x1'", "write `\\\\`"),
        ("{% fro a in b %}{% endfor %}", "ORC310", "fro", "did you mean `for`?"),
        ("{% for a of b %}{% endfor %}", "ORC310", "of", None),
        ("{% endif %}", "ORC310", "{% endif %}", "remove it"),
        ("{% if a %}{% else if b %}{% endif %}", "ORC310", "{% else if b %}", "{% elif"),
        ("{% if a %}{% endfor %}{% endif %}", "ORC310", "{% endfor %}", "{% endif %}"),
        ("{{ a | uper }}", "ORC312", "uper", "did you mean `upper`?"),
        ("{{ a | safe }}", "ORC312", "safe", "remove it"),
        ("{{ a | join(1, 2, 3) }}", "ORC313", "join(1, 2, 3)", "| join(d='', attribute=none)"),
        ("{{ a | replace('x') }}", "ORC313", "replace('x')", "replace(old, new"),
        ("{{ a | round(places=1) }}", "ORC313", "round(places=1)", "precision"),
        ("{{ a | map('uper') }}", "ORC313", "'uper'", "did you mean `upper`?"),
        ("{{ a | regex_search('(') }}", "ORC313", "'('", "escape special characters"),
        ("{{ a | regex_search('a(?=b)c') }}", "ORC313", "'a(?=b)c'", "at the end of a pattern"),
        ("{{ a | hash('md6') }}", "ORC313", "'md6'", "`md5`"),
        ("{{ a | selectattr('n', 'definde') }}", "ORC313", "'definde'", "did you mean `defined`?"),
        ("{{ a | select(test='qqq') }}", "ORC313", "'qqq'", "such as `'odd'`"),
        ("{{ a.split(1, 2, 3) }}", "ORC313", "split(1, 2, 3)", "split("),
        ("{{ a is definde }}", "ORC314", "definde", "did you mean `defined`?"),
        ("{{ rnage(3) }}", "ORC315", "rnage", "did you mean `range`?"),
        ("{{ upper(a) }}", "ORC315", "upper", "write `a | upper`"),
        ("{{ upper(a + b) }}", "ORC315", "upper", "write `(a + b) | upper`"),
        ("{{ len(a.b) }}", "ORC315", "len", "write `a.b | length`"),
        ("{{ lenght(a) }}", "ORC315", "lenght", "write `a | length`"),
        ("{{ str(a) }}", "ORC315", "str", "`a | string`"),
        ("{{ int(a) }}", "ORC315", "int", "write `a | int`"),
        ("{{ sorted(a) }}", "ORC315", "sorted", "write `a | sort`"),
        ("{{ sortd(a) }}", "ORC315", "sortd", "write `a | sort`"),
        ("{{ enumrate(a) }}", "ORC315", "enumrate", "`loop.index0`"),
        ("{{ a | len }}", "ORC312", "len", "write `a | length`"),
        ("{{ a | split(',') }}", "ORC312", "split", "write `a.split(',')`"),
        ("{{ a ?? 'x' }}", "ORC310", "?", "write `value | default('...')`"),
        ("{{ a?.b }}", "ORC310", "?", "write `value.field | default('...')`"),
        ("{{ [x for x in a] }}", "ORC317", "for", "`items | map('upper')`"),
        ("{{ ', '.join(x for x in a) }}", "ORC317", "for", "`items | map('upper')`"),
        ("{{ a | map(lambda x: x) }}", "ORC317", "lambda", "`items | map('upper')`"),
        ("{{ now().strftime('%Y') }}", "ORC315", "strftime", "`now() | date('%Y-%m-%d')`"),
        ("{{ env('HOME') }}", "ORC315", "env", "default_from_env"),
        ("{{ a.uper() }}", "ORC315", "uper", "did you mean `upper`?"),
        ("{{ a.append(1) }}", "ORC315", "append", "items + [value]"),
        ("{% for k, v in a.iteritems() %}{% endfor %}", "ORC315", "iteritems", "`.items()`"),
        ("{{ a.has_key('b') }}", "ORC315", "has_key", "`'name' in value`"),
        ("{{ a.format(1) }}", "ORC317", "format", "| format(a, b)"),
        ("{{ a.__class__ }}", "ORC317", "__class__", None),
        ("{{ dict(**a) }}", "ORC317", "**", "write each argument separately"),
        ("{% include 'x' %}", "ORC317", "include", "tool: filesystem"),
        ("{% macro m(x) %}{{ x }}{% endmacro %}", "ORC317", "macro", "{% set"),
        ("{% for a in b recursive %}{% endfor %}", "ORC317", "recursive", None),
        ("{% do a.append(1) %}", "ORC317", "do", "{% set %}"),
        ("{% filter upper %}a{% endfilter %}", "ORC317", "filter", "{% set"),
    ],
)
def test_a_mistake_is_found_at_its_place(template: str, code: str, culprit: str, help: str | None) -> None:
    text = f"Ünï 😀\n{template}"
    (problem,) = parse_template(text).problems
    assert problem.code == code
    assert text[problem.start : problem.end] == culprit
    if help is not None:
        assert help in (problem.help or "")


def test_each_mistake_of_a_text_is_found_and_none_makes_an_echo() -> None:
    text = """Dear {{ name }},
{{ a | uper }} and {{ b b }} then {{ c. }}
{{ unclosed
{% for x of xs %}{{ x }}{{ loop.index }}{% else %}none{% endfor %}
{% if a === b %}{{ ok }}{% elif d & e %}2{% endif %}
{{ fine }} {{ a is upperr }} {{ 'x }}
{{ last | join(1, 2, 3) }}"""
    problems = parse_template(text).problems
    assert [(p.code, text[: p.start].count("\n") + 1) for p in problems] == [
        ("ORC312", 2),
        ("ORC310", 2),
        ("ORC310", 2),
        ("ORC311", 3),
        ("ORC310", 4),
        ("ORC310", 5),
        ("ORC310", 5),
        ("ORC314", 6),
        ("ORC310", 6),
        ("ORC313", 7),
    ]


@pytest.mark.parametrize("text", ["{{ a | uper }}", "{{ a | map('uper') }}", '{{ a | select("od") }}'])
def test_a_suggestion_can_be_put_in_the_place_of_the_mistake(text: str) -> None:
    (problem,) = parse_template(text).problems
    assert problem.replacement is not None
    mended = text[: problem.start] + problem.replacement + text[problem.end :]
    assert parse_template(mended).problems == ()


@pytest.mark.parametrize(
    ("condition", "culprit"),
    [
        ("{{ a }} and {{ b }}", "{{ a }} and {{ b }}"),
        ("a and {{ b }}", "{{ b }}"),
        ("{% if a %}true{% endif %}", "{% if a %}true{% endif %}"),
        ("", ""),
        ("a ==", "=="),
        ("a b", "b"),
    ],
)
def test_a_condition_is_one_expression(condition: str, culprit: str) -> None:
    (problem,) = parse_expression(condition).problems
    assert problem.code == "ORC310"
    assert condition[problem.start : problem.end] == culprit


def test_a_text_with_braces_that_are_meant_is_no_mistake() -> None:
    for text in ("{ a }", "}}", "a { b", '{"a": {"b": 1}}', "{% raw %}{{ }}{% endraw %}", "{{ '{{ x }}' }}", "{##}"):
        assert parse_template(text).problems == ()


@pytest.mark.parametrize("table", [FILTER_EQUIVALENTS, TEST_EQUIVALENTS, FUNCTION_EQUIVALENTS], ids=["|", "is", "()"])
def test_what_a_help_says_to_write_can_be_written(table: dict[str, str]) -> None:
    names = dict.fromkeys(("value", "other", "b", "low", "high"), ANY)
    for name, help in table.items():
        advised = re.findall(r"`([^`]*\{value\}[^`]*)`", help)
        for text in advised:
            code = text.replace("{value}", "value").replace("{name}", name)
            template = parse_template(code) if "{{" in code else parse_expression(code)
            assert template.problems == (), (name, code)
            assert template.infer(names).problems == (), (name, code)


@pytest.mark.parametrize(
    ("elsewhere", "ours"),
    [(FILTER_EQUIVALENTS, FILTERS), (TEST_EQUIVALENTS, TESTS), (FUNCTION_EQUIVALENTS, FUNCTIONS)],
    ids=["|", "is", "()"],
)
def test_what_is_known_here_is_not_explained_as_unknown(elsewhere: dict[str, str], ours: dict[str, Builtin]) -> None:
    assert not elsewhere.keys() & ours.keys()


@pytest.mark.parametrize(
    ("code", "value", "result"),
    [
        ("value | sum(start=[])", [[1], [2, 3]], [1, 2, 3]),
        ("value | hash('md5')", "a", "0cc175b9c0f1b6a831c399e269772661"),
        ("value | reject('in', other) | list", [1, 2, 3], [1, 3]),
        ("value | select('in', other) | list", [1, 2, 3], [2]),
        ("(value + other) | unique | list", [1, 2], [1, 2]),
        ("(value | sum) / (value | length)", [1, 3], 2.0),
        ("value | reject('none') | list", [1, None], [1]),
        ("value | round(0, 'ceil') | int", 1.2, 2),
        ("[[value, 0] | max, 100] | min", 150, 100),
        ("value | regex_search('^pattern')", "a pattern", None),
        ("value.split() | join(' ')", " a \n b ", "a b"),
        ("value ** 0.5", 9, 3.0),
        ("low <= value <= high", 2, True),
        ("'yes' if value else 'no'", [], "no"),
        ("value | regex_replace('[.][^.]*$', '')", "a/b.txt", "a/b"),
        ("value | select | list | length > 0", [0, 1], True),
    ],
)
def test_what_stands_here_for_what_others_have_does_the_same(code: str, value: object, result: object) -> None:
    names = {"value": value, "other": [2], "low": 1, "high": 3}
    assert evaluate(f"{{{{ {code} }}}}", **names) == result


@pytest.mark.parametrize(
    ("template", "help"),
    [
        ("{{ rows | to_table }}", "write `rows | markdown_table`"),
        ("{{ rows | to_tabel }}", "write `rows | markdown_table`"),  # a misspelling of a name from elsewhere
        ("{{ a.b | to_yaml }}", "write `a.b | to_json`: JSON is valid YAML"),
        ("{{ a | md5 }}", "write `a | hash('md5')`"),
        ("{{ (a + b) | mandatory }}", "write `(a + b) | required('message')`"),
        ("{{ a | ternary('x', 'y') }}", "write `'yes' if a else 'no'`"),
        ("{{ lists | flatten }}", "write `lists | sum(start=[])`"),
        ("{{ a | combine(b) }}", "`tool: json`, `action: merge`"),
        ("{{ a | b64encode }}", "`tool: python`"),
        ("{{ a | zip(b) }}", "loop.index0"),
        ("{{ a is str }}", "write `a is string`"),
        ("{{ a is dict }}", "write `a is mapping`"),
        ("{{ a is match('x') }}", "`a | regex_search('^pattern')`"),
        ("{{ a is search('x') }}", "`a | regex_search('pattern')`"),
        ("{{ a | upcase }}", "write `a | upper`"),
        ("{{ a | divided_by(2) }}", "`a / 2`"),
        ("{{ raise_exception('no') }}", "required('message')"),
        ("{{ md5(a) }}", "write `a | hash('md5')`"),
        ("{{ a | uper }}", "did you mean `upper`?"),
        ("{{ 'x.txt' | read_file }}", "{path: x.txt}"),
        ("{{ file('x.txt') }}", "{path: x.txt}"),
        ("{% include 'x.txt' %}", "{path: x.txt}"),
        ("{{ file:prompts/x.txt }}", "{path: prompts/x.txt}"),
        ("{{ @prompts/x.txt }}", "{path: prompts/x.txt}"),
        ("{{ file:{{ name }}.txt }}", '{path: "{{ name }}.txt"}'),
        ("{{ include prompts/x.txt }}", "{path: prompts/x.txt}"),
        ("{{ url:https://a.b }}", '{url: "https://a.b"}'),
        ("{{ env:HOME }}", "{type: string, default_from_env: HOME}"),
        ("{{ input:topic }}", "`{{ inputs.topic }}`"),
    ],
)
def test_words_of_other_tools_are_answered_with_what_is_written_here(template: str, help: str) -> None:
    (problem,) = parse_template(template).problems
    assert problem.help is not None
    assert help in problem.help, problem.help


@pytest.mark.parametrize("filter", ["select(", "reject(", "selectattr('k', ", "rejectattr('k', "])
@pytest.mark.parametrize("name", [*JINJA_TESTS, *TEST_EQUIVALENTS])
def test_the_name_of_a_test_is_known_or_refused_with_what_to_write_instead(filter: str, name: str) -> None:
    problems = parse_template(f"{{{{ [{{'k': 1}}] | {filter}'{name}') }}}}").problems
    if name in TESTS:
        assert [problem.code for problem in problems] == []
        return
    (problem,) = problems
    assert f"`{name}`" in problem.message
    assert problem.help is not None
    assert "orchestrator filters" not in problem.help
    assert "{value}" not in problem.help
    for written in re.findall(r"^write `('[^`]*)`$", problem.help):
        assert parse_template(f"{{{{ [{{'k': 1}}] | {filter}{written}) }}}}").problems == ()


@pytest.mark.parametrize(
    ("template", "help"),
    [
        ("{{ a | selectattr('k', 'str') }}", "write `'string'`"),
        ("{{ a | selectattr('k', 'startswith', 'x') }}", "write `'startingwith', '...'`"),
        ("{{ a | select('equals', 1) }}", "write `'==', other`"),
        ("{{ a | reject('match', 'x') }}", "for each item, in `{% for item in items %}`: "),
        ("{{ a | map('b64encode') }}", "expressions cannot encode bytes"),
        ("{{ a | map('md5') }}", "write `'hash', 'md5'`"),
    ],
)
def test_a_foreign_name_in_quotes_is_answered_as_one_without(template: str, help: str) -> None:
    (problem,) = parse_template(template).problems
    assert help in str(problem.help)
