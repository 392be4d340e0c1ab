"""What templates give."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.expressions import Entity, EvaluationError, parse_expression, parse_template
from tests.expressions.conftest import evaluate, scope

VALUES: dict[str, Any] = {
    "n": 3,
    "word": "solar",
    "none_": None,
    "user": {"name": "Ann", "tags": ["a", "b"], "items": 7, "class": "x"},
    "rows": [{"k": 1, "v": "x"}, {"k": 2, "v": "y"}],
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("n", 3),
        ("user.name", "Ann"),
        ("user['name']", "Ann"),
        ("user.tags[-1]", "b"),
        ("user.tags.0", "a"),
        ("user.class", "x"),
        ("user.items", 7),
        ("user.items()", [["name", "Ann"], ["tags", ["a", "b"]], ["items", 7], ["class", "x"]]),
        ("user.get('nope', 1)", 1),
        ("rows[0].v ~ n", "x3"),
        ("word[1:3]", "ol"),
        ("word[::-1]", "ralos"),
        ("[1, 2, 3][:2]", [1, 2]),
        ("(1, 2)", [1, 2]),
        ("{'a': [n, none], 'b': {}}", {"a": [3, None], "b": {}}),
        ("1 + 2 * 3 ** 2", 19),
        ("-2 ** 2", 4),
        ("2 ** -1", 0.5),
        ("7 // 2 ~ 7 % 2", "31"),
        ("10 / 4", 2.5),
        ("'ab' * 2 + 'c'", "ababc"),
        ("[1] + [2]", [1, 2]),
        ("1 < n <= 3 < 4", True),
        ("1 < n < 3", False),
        ("'a' in user.tags and 'z' not in user.tags", True),
        ("'sol' in word", True),
        ("'name' in user", True),
        ("not n == 3", False),
        ("n == 3.0", True),
        ("none_ or 'other'", "other"),
        ("n and word", "solar"),
        ("'yes' if n > 2 else 'no'", "yes"),
        ("'yes' if n > 5", None),
        ("1 if false else 2 if false else 3", 3),
        ("-3 | abs", 3),
        ("n is odd and n is not even", True),
        ("n is divisibleby 3", True),
        ("user.nope is defined", False),
        ("user.nope | default('d')", "d"),
        ("none_ | default('d')", None),
        ("none_ | default('d', true)", "d"),
        ("none_.name | default('d')", "d"),
        ("none_ is none", True),
        ("true", True),
        ("False", False),
        ("null", None),
        ("0x1F + 0b11 + 1_000", 1034),
        ("1e3", 1000.0),
        ("'it\\'s' 'one'", "it'sone"),
        ('"\\u00e9\\n\\x41"', "é\nA"),
        ("range(3)", [0, 1, 2]),
        ("now()", "2026-02-03T04:05:06+00:00"),
        ("now('%d/%m/%Y')", "03/02/2026"),
        ("rows | map(attribute='k') | sum", 3),
        ("rows | selectattr('k', 'gt', 1) | map(attribute='v') | first", "y"),
        ("dict(a=1).a", 1),
        ("'a,b'.split(',')", ["a", "b"]),
        ("'%s-%03d' | format('a', 7)", "a-007"),
    ],
)
def test_an_expression_keeps_the_type_of_its_value(expression: str, value: Any) -> None:
    result = evaluate("{{ " + expression + " }}", **VALUES)
    assert result == value
    assert type(result) is type(value)
    assert parse_expression(expression).evaluate(scope(**VALUES)) == value


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("n = {{ n }}", "n = 3"),
        ("{{ none_ }}|{{ true }}|{{ 1.0 }}|{{ 'é' }}", "|true|1.0|é"),
        ("{{ user.tags }} {{ {'a': none, 'b': 'é'} }}", '["a", "b"] {"a": null, "b": "é"}'),
        ("{{ n }}{{ n }}", "33"),
        (" {{ n }}", " 3"),
        ("{% if n > 2 %}big{% elif n > 1 %}middle{% else %}small{% endif %}", "big"),
        ("{% if none_ %}a{% endif %}b", "b"),
        ("{% for r in rows %}{{ loop.index }}:{{ r.v }}{{ ',' if not loop.last }}{% endfor %}", "1:x,2:y"),
        ("{% for r in rows if r.k > 1 %}{{ loop.length }}{{ r.v }}{% endfor %}", "1y"),
        ("{% for r in [] %}x{% else %}none{% endfor %}", "none"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}={{ v }}{% endfor %}", "a=1"),
        ("{% for a in [1, 2] %}{{ loop.previtem | default('-') }}{{ loop.cycle('o', 'e') }}{% endfor %}", "-o1e"),
        ("{% for a in [[1, 2], [3]] %}{% for b in a %}{{ loop.depth }}{{ b }}{% endfor %};{% endfor %}", "2122;23;"),
        ("{% set x = n + 1 %}{{ x }}", "4"),
        ("{% set a, b = [1, 2] %}{{ b }}{{ a }}", "21"),
        ("{% set x | upper | trim %} {{ word }} {% endset %}[{{ x }}]", "[SOLAR]"),
        ("{% set n = 5 %}{% for i in [1] %}{% set n = 6 %}{{ n }}{% endfor %}{{ n }}", "65"),
        ("{% if false %}{% set n = 5 %}{% endif %}{{ n }}", "3"),
        (
            "{% set ns = namespace(t=0) %}{% for r in rows %}{% set ns.t = ns.t + r.k %}{% endfor %}{{ ns.t }}",
            "3",
        ),
        ("a {#- gone -#} b", "ab"),
        ("a {{- n -}} b", "a3b"),
        ("a\n{%- if true +%}\nb{% endif %}", "a\nb"),
        ("{% raw %}{{ n }}{% endraw %}{{ n }}", "{{ n }}3"),
        ("a {%- raw -%} {{ n }} {%- endraw -%} b", "a{{ n }}b"),
        ("}} %} #} {n} {{ '}}' }}", "}} %} #} {n} }}"),
        ("{{ {'a': {'b': 1}}.a.b }}!", "1!"),
        ("{% for city, people in rows | groupby('v') %}{{ city }}{{ people | length }}{% endfor %}", "x1y1"),
        ("{% for group in rows | groupby('v') %}{{ group.grouper }}{{ group.list | length }}{% endfor %}", "x1y1"),
        ("line\n", "line\n"),
    ],
)
def test_anything_else_is_text(template: str, text: str) -> None:
    assert evaluate(template, **VALUES) == text


def test_text_is_never_read_again() -> None:
    assert evaluate("{{ a }}", a="{{ b }}", b=1) == "{{ b }}"
    assert evaluate("x{{ a }}", a="{{ b }}{% for %}") == "x{{ b }}{% for %}"
    assert evaluate("{{ a }}", a="42") == "42"


def test_a_condition_means_the_same_with_and_without_braces() -> None:
    for text in ("n > 2", "{{ n > 2 }}", "  {{n>2}}\n"):
        template = parse_expression(text)
        assert template.is_expression
        assert template.problems == ()
        assert template.evaluate(scope(n=3)) is True


def test_text_without_braces_is_constant() -> None:
    template = parse_template("just { text }")
    assert template.is_constant
    assert not template.is_expression
    assert template.references == ()
    assert template.evaluate(scope()) == "just { text }"


def test_a_name_with_a_hyphen_is_one_name_where_it_is_known() -> None:
    known = frozenset({"fetch-data", "fetch-data-2"})
    names = {"fetch-data": 10, "fetch-data-2": {"x": 4}, "a": 1, "fetch": 7}

    def value(text: str) -> Any:
        return parse_expression(text, hyphenated=known).evaluate(scope(**names))

    assert value("fetch-data") == 10
    assert value("fetch-data-2.x") == 4
    assert value("fetch-data-1") == 9
    assert value("fetch-a") == 6
    assert value("[fetch-data, fetch-data - a]") == [10, 9]


# --- steps


STEP = Entity(
    value="the text",
    attributes={"result": {"content": "the text", "size": 8}, "content": "the text", "status": "succeeded"},
)
SKIPPED = Entity(None, {"result": None, "status": "skipped", "error": None}, null_fields=True)


def test_a_step_stands_for_its_primary_value() -> None:
    assert evaluate("{{ fetch }}", fetch=STEP) == "the text"
    assert evaluate("{{ fetch | upper }}", fetch=STEP) == "THE TEXT"
    assert evaluate("{{ fetch.status }} {{ fetch.result.size }}", fetch=STEP) == "succeeded 8"
    assert evaluate("{{ fetch[:3] }}", fetch=STEP) == "the"
    assert evaluate("{{ [fetch, steps.fetch.status] }}", fetch=STEP, steps={"fetch": STEP}) == ["the text", "succeeded"]
    assert evaluate("{% set s = fetch %}{{ s.status }}", fetch=STEP) == "succeeded"
    assert evaluate("{{ (fetch if true else 1).status }}", fetch=STEP) == "succeeded"


def test_an_attribute_of_a_step_comes_before_a_field_of_its_value() -> None:
    step = Entity({"status": "open", "title": "t"}, {"status": "succeeded"})
    assert evaluate("{{ s.status }} {{ s['status'] }} {{ s.title }}", s=step) == "succeeded succeeded t"


def test_a_skipped_step_reads_as_null() -> None:
    assert evaluate("{{ s }}", s=SKIPPED) is None
    assert evaluate("[{{ s }}{{ s.title }}{{ s.result.a.b[0].c }}]", s=SKIPPED) == "[]"
    assert evaluate("{{ s.status }}", s=SKIPPED) == "skipped"
    assert evaluate("{{ 'ran' if s else 'skipped' }}", s=SKIPPED) == "skipped"
    assert evaluate("{{ s is none }}", s=SKIPPED) is True


def test_a_default_takes_the_place_of_a_skipped_step() -> None:
    assert evaluate("{{ s | default('d') }}", s=SKIPPED) == "d"
    assert evaluate("{{ s.title | default('d') }}", s=SKIPPED) == "d"
    assert evaluate("{{ s.title if s is defined else 'd' }}", s=SKIPPED) == "d"


# --- errors


@pytest.mark.parametrize(
    ("expression", "culprit", "message"),
    [
        ("nope", "nope", "`nope` is not defined"),
        ("user.titel", "user.titel", "`titel` is not a field of `user`; it has `name`, `tags`, `items`, `class`"),
        ("fetch.title", "fetch.title", "`title` is not a field of `fetch`; it has `result`, `content`, `status`"),
        ("none_.x", "none_.x", "`none_` is null, so it has no field `x`"),
        ("user.nope.x", "user.nope.x", "`nope` is not a field of `user`"),
        ("rows[5].k", "rows[5].k", "`rows` has 2 items, so `[5]` is out of range"),
        ("n.x", "n.x", "`n` is the integer `3`, so it has no field `x`"),
        ("1 + word", "1 + word", "the string `solar` cannot be added to the integer `1`"),
        ("word - 1", "word - 1", "the integer `1` cannot be subtracted from the string `solar`"),
        ("n / 0", "n / 0", "division by zero"),
        ("word < 1", "word < 1", "the string `solar` and the integer `1` cannot be ordered"),
        ("'%s' % n", "'%s' % n", "`%` does not format text"),
        ("1 in word", "1 in word", "a string can only contain strings"),
        ("n | length", "n | length", "the integer `3` has no length"),
        ("user.nope | upper", "user.nope | upper", "`nope` is not a field of `user`"),
        ("rows | sort", "rows | sort", "objects cannot be ordered"),
        ("[1, 'a'] | sort", "[1, 'a'] | sort", "the items are of different types"),
        ("rows | map(attribute='z') | list", "rows | map(attribute='z')", "`z` is not a field of `the item`"),
        ("word.items()", "word.items()", "the string `solar` has no method `items`"),
        (
            "'{x' | from_json",
            "'{x' | from_json",
            "the text is not valid JSON: expecting property name enclosed in double quotes at column 2",
        ),
        ("'abc'.index('z')", "'abc'.index('z')", "the string `z` is not found"),
        ("['a'][word]", "['a'][word]", "a list of strings, so it has no field"),
        ("range(n, word)", "range(n, word)", "the arguments of `range` must be integers"),
        ("[user.nope]", "[user.nope]", "`nope` is not a field of `user`"),
    ],
)
def test_an_error_names_its_culprit_and_place(expression: str, culprit: str, message: str) -> None:
    text = f"Some é text {{{{ {expression} }}}} more"
    with pytest.raises(EvaluationError) as caught:
        evaluate(text, fetch=STEP, **VALUES)
    error = caught.value
    assert message in error.message
    assert text[error.start : error.end] == culprit
    assert error.expression == culprit
    assert error.code == "ORC704"
    assert not error.retryable


def test_an_error_in_a_loop_names_what_cannot_be_unpacked() -> None:
    with pytest.raises(EvaluationError, match="cannot unpack a list of 3 into 2 names"):
        evaluate("{% for a, b in [[1, 2, 3]] %}{% endfor %}")
    with pytest.raises(EvaluationError, match="null cannot be iterated over"):
        evaluate("{% for a in x %}{% endfor %}", x=None)


@pytest.mark.parametrize(
    "template",
    [
        "{% for name, count in counts %}{% endfor %}",
        "{{ counts.items | length }}",
        "{{ step.items | length }}",
        "{% for name, count in counts.items %}{% endfor %}",
    ],
)
def test_who_goes_through_an_object_without_its_pairs_is_told_how_to_get_them(template: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate(template, counts={"sun": 1}, step=Entity({"sun": 1}, {"status": "completed"}))
    assert "`.items()`" in (caught.value.help or "")


def test_a_malformed_template_is_not_evaluated() -> None:
    with pytest.raises(EvaluationError, match="invalid template"):
        parse_template("{{ a b }}").evaluate(scope(a=1))


def test_private_names_and_python_methods_cannot_be_reached() -> None:
    for text in ("{{ ''.__class__ }}", "{{ x.append(1) }}", "{{ x.format(1) }}", "{{ range.__globals__ }}"):
        assert parse_template(text).problems
    with pytest.raises(EvaluationError):
        evaluate("{{ x['__class__'] }}", x="text")


def test_a_template_is_shared_by_threads_and_copied_to_other_processes() -> None:
    template = parse_template("{% for i in range(n) %}{% set x = i %}{{ x }}{% endfor %}")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: template.evaluate(scope(n=n)), range(40)))
    assert results == ["".join(map(str, range(n))) for n in range(40)]
    copied = pickle.loads(pickle.dumps(template))
    assert copied == template
    assert hash(copied) == hash(template)
    with pytest.raises(AttributeError):
        template.text = "other"


def test_results_are_plain_json() -> None:
    value = evaluate("{{ [rows | groupby('k'), steps] }}", steps={"a": STEP, "b": SKIPPED}, **VALUES)
    assert json.loads(json.dumps(value))[1] == {"a": "the text", "b": None}
