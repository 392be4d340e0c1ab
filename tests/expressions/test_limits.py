"""No template can stop a run: whatever it computes is bounded."""

from __future__ import annotations

import pytest

from orchestrator.expressions import EvaluationError, parse_template
from orchestrator.language.yaml.scalars import is_not_json, resolve_scalar
from orchestrator.text.json_text import NotJsonText, read_json
from orchestrator.tools.functions.results import NotJson, json_result
from tests.expressions.conftest import evaluate, scope

DOUBLED = "{% set a = [1] %}{% set b = [1] %}" + "{% set a = [a, a] %}{% set b = [b, b] %}" * 60


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'x' * 10 ** 9 }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ [[[0] * 1000] * 1000] * 1000 }}",
        "{{ 2 ** 100000 }}",
        "{{ 2 ** 800 * 2 ** 800 }}",
        "{{ 10 ** 300 }}",
        "{{ 0 - 10 ** 299 * 10 }}",
        "{{ (10 ** 299 * 9) + (10 ** 299) }}",
        "{{ 'x' | center(10 ** 9) }}",
        "{{ 'x'.zfill(10 ** 9) }}",
        "{{ '%999999999d' | format(1) }}",
        "{{ 'x' | indent(10 ** 9) }}",
        "{{ range(10 ** 9) }}",
        "{{ range(10 ** 30) }}",
        "{{ big.replace('', big) }}",
        "{{ big | urlencode | urlencode }}{{ (big * 4) | escape }}",
        "{{ big.split('x') }}",
        "{{ [1] | slice(10 ** 7) }}",
        "{{ [1] | batch(10 ** 7, 0) }}",
        DOUBLED + "{{ a }}",
        DOUBLED + "{{ a == b }}",
        DOUBLED + "{{ a in [b] }}",
        DOUBLED + "{{ [a] | unique }}",
        DOUBLED + "{{ [b].index(a) }}",
        DOUBLED + "{{ [[a, 1], [b, 2]] | sort }}",
        DOUBLED + "{% for i in [a, b] %}{{ loop.changed(i) }}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = big ~ big %}{% endfor %}",
        "{% for a in range(100000) %}{% set x = big | upper %}{% endfor %}",
        "{% for a in range(100000) %}{{ big }}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(9999) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x=1) %}{% for i in range(9999) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{{ ('[' * 100000) | from_json }}",
        "{{ ('9' * 100000) | from_json }}",
        "{{ big | regex_findall('x*y|x') }}",
    ],
)
def test_what_would_take_too_much_is_an_error(template: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate(template, big="x" * 3_000_000)
    assert len(caught.value.message) < 300
    assert len(caught.value.expression) < 300


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "-" * 5000 + "1 }}",
        "{{ " + "not " * 5000 + "1 }}",
        "{{ 1" + "+1" * 5000 + " }}",
        "{{ a" + ".b" * 5000 + " }}",
        "{{ a" + "|upper" * 5000 + " }}",
        "{{ 1" + " if 1 else 1" * 5000 + " }}",
        "{{ " + "[" * 5000 + "]" * 5000 + " }}",
        "{% if 1 %}" * 5000 + "{% endif %}" * 5000,
        "{{" * 50_000,
        "{{ '" * 30_001,
        "{% if " * 30_000,
        "{{ a }" * 30_000,
        "{{ a b }}" * 30_000,
        "{{ 1 }}" * 500_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_template_that_is_too_deep_or_broken_throughout_is_a_problem(template: str) -> None:
    parsed = parse_template(template)
    assert 1 <= len(parsed.problems) <= 200
    assert parsed.infer({}).type.kind in ("any", "string")
    assert len(parsed.references) < 200
    with pytest.raises(EvaluationError):
        parsed.evaluate(scope())


def test_what_is_long_but_flat_is_fine() -> None:
    assert evaluate("{{ [" + "1, " * 5000 + "] | sum }}") == 5000
    assert evaluate("{{ 1" + " ~ 1" * 5000 + " }}") == "1" * 5001
    assert len(evaluate("{{ 1 }}" * 20_000)) == 20_000


def test_an_integer_has_at_most_300_digits_at_every_door() -> None:
    largest = "9" * 300
    assert evaluate(f"{{{{ {largest} }}}}") == int(largest)
    assert evaluate("{{ 10 ** 299 * 9 + (10 ** 299 - 1) }}") == int(largest)
    assert resolve_scalar(largest) == int(largest)
    assert read_json(largest) == int(largest)
    assert json_result(int(largest)) == int(largest)
    assert evaluate("{{ big | int }}", big=largest) == int(largest)
    too_large = "1" + "0" * 300
    assert parse_template(f"{{{{ {too_large} }}}}").problems
    assert parse_template(f"{{{{ 0x{'f' * 250} }}}}").problems
    for text in (too_large, "0x" + "f" * 250, "0o" + "7" * 298):
        assert type(resolve_scalar(text)) is int if text.startswith("0o") else resolve_scalar(text) is text
        assert is_not_json(text)
    for refused, error in ((lambda: read_json(too_large), NotJsonText), (lambda: json_result(10**300), NotJson)):
        with pytest.raises(error, match="300"):
            refused()
    for template in ("{{ big | int(-1) }}", "{{ 1e307 | int(-1) }}"):
        with pytest.raises(EvaluationError, match="300 digits"):
            evaluate(template, big=too_large)
