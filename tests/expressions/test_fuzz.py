"""Whatever the text and the values are: no exception but the documented one, and every place lies in the text."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.expressions import (
    ANY,
    Entity,
    EvaluationError,
    Template,
    is_assignable,
    parse_expression,
    parse_template,
    type_of,
)
from tests.expressions.conftest import scope

FRAGMENTS = (
    *("{{", "}}", "{%", "%}", "{#", "#}", "-", "if", "for x in y", "set a =", "else", "elif b", "endif", "endfor"),
    *("endset", "a", "b.c", "x[0]", "'q'", '"', "'", "(", ")", "[", "]", "{", "}", "|", "upper", "join", "default("),
    *(
        "is",
        "not",
        "in",
        "and",
        ",",
        ":",
        "+",
        "**",
        ".",
        "1",
        "1e9",
        "0x",
        "raw",
        "endraw",
        "\n",
        "é",
        "😀",
        "include",
    ),
    *("macro m(x)", "loop.index", "range(9)", ".items()", "~", "=", "*", "%", "now()", "-%}", "{%- ", "namespace(a=1)"),
    *(
        "map('upper')",
        "sort",
        "regex_search('(a+)+')",
        "format",
        "\\",
        "__class__",
        "{{ a }}",
        "{% if a %}",
        "groupby(0)",
    ),
)
fragments = st.lists(st.sampled_from(FRAGMENTS), max_size=14)
texts = fragments.map(" ".join) | fragments.map("".join) | st.text(max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcx"), inner, max_size=3),
    max_leaves=6,
)
entities = st.builds(
    Entity, json_values, st.dictionaries(st.sampled_from("abcx"), json_values, max_size=2), st.booleans()
)
scopes = st.dictionaries(st.sampled_from("abxy"), json_values | entities)


@settings(max_examples=400)
@given(texts, scopes)
def test_any_text_is_parsed_inferred_and_evaluated_without_surprise(text: str, names: dict[str, Any]) -> None:
    for template in (parse_template(text), parse_expression(text), parse_template("{{ " + text + " }}")):
        check(template, names)


def check(template: Template, names: dict[str, Any]) -> None:
    length = len(template.text)
    env = {name: ANY if isinstance(value, Entity) else type_of(value) for name, value in names.items()}
    inference = template.infer(env)
    for problem in (*template.problems, *inference.problems):
        assert 0 <= problem.start <= problem.end <= length
        assert problem.start < problem.end or not template.text
        assert problem.message
        assert problem.help
    for reference in template.references:
        assert template.text.startswith(reference.name, reference.start)
        assert reference.end <= length
    result = outcome(template, names)
    if isinstance(result, EvaluationError):
        assert 0 <= result.start <= result.end <= length
    else:
        json.dumps(result, allow_nan=False)
        assert inference.problems or is_assignable(type_of(result), inference.type)


def outcome(template: Template, names: dict[str, Any]) -> Any:
    try:
        return template.evaluate(scope(**names))
    except EvaluationError as error:
        return error
