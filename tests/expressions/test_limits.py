"""No template can stop a run: whatever it computes is bounded."""

from __future__ import annotations

import pytest

from orchestrator.expressions import EvaluationError, parse_template
from tests.expressions.conftest import evaluate, scope

DOUBLED = "{% set a = [1] %}{% set b = [1] %}" + "{% set a = [a, a] %}{% set b = [b, b] %}" * 60


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'x' * 10 ** 9 }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ [[[0] * 1000] * 1000] * 1000 }}",
        "{{ 2 ** 100000 }}",
        "{{ 2 ** 3000 * 2 ** 3000 }}",
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
