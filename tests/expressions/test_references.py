"""Which names a template reads."""

from __future__ import annotations

import pytest

from orchestrator.expressions import parse_expression, parse_template


def reads(text: str) -> list[tuple[str, tuple[str | int, ...]]]:
    return [(reference.name, reference.path) for reference in parse_template(text).references]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ a }}", [("a", ())]),
        ("{{ a.b['c'][0][-1] }}", [("a", ("b", "c", 0, -1))]),
        ("{{ a[b.c].d }}", [("a", ()), ("b", ("c",))]),
        ("{{ a.items() }}", [("a", ())]),
        ("{{ a.b | join(c) }}", [("a", ("b",)), ("c", ())]),
        ("{{ range(n) }}{{ now() }}", [("n", ())]),
        ("{% for x in xs %}{{ x.y }}{{ loop.index }}{{ z }}{% endfor %}{{ x }}", [("xs", ()), ("z", ()), ("x", ())]),
        ("{% set x = a %}{{ x }}", [("a", ())]),
        ("{% if c %}{% set x = 1 %}{% endif %}{{ x }}", [("c", ()), ("x", ())]),
        ("{% if c %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}", [("c", ())]),
        ("{{ true }}{{ none }}{{ 'a.b' }}{{ {'a': b} }}", [("b", ())]),
        ("{% raw %}{{ a }}{% endraw %}{# {{ b }} #}", []),
    ],
)
def test_every_read_of_a_free_name_is_a_reference(
    template: str, expected: list[tuple[str, tuple[str | int, ...]]]
) -> None:
    assert reads(template) == expected


def test_a_reference_knows_its_place() -> None:
    text = "é {{ fetch.result['a'] | upper }} 😀 {{ x }}"
    assert [text[r.start : r.end] for r in parse_template(text).references] == ["fetch.result['a']", "x"]


@pytest.mark.parametrize(
    ("template", "guarded"),
    [
        ("{{ a }}", False),
        ("{{ a.b | upper }}", False),
        ("{{ a | default('x') }}", True),
        ("{{ a.b | default('x') | upper }}", True),
        ("{{ a | upper | default('x') }}", False),
        ("{{ a is defined }}", True),
        ("{{ a is none }}", True),
        ("{{ a == none }}", True),
        ("{{ a is string }}", False),
        ("{{ a or 'x' }}", True),
        ("{{ 'x' or a }}", False),
        ("{{ not a }}", True),
        ("{{ 1 if a else 2 }}", True),
        ("{% if a %}1{% endif %}", True),
        ("{{ a ~ 'x' }}", False),
        ("{% for x in a %}{% endfor %}", False),
        ("{% for x in a | default([]) %}{% endfor %}", True),
    ],
)
def test_a_read_is_guarded_where_null_does_no_harm(template: str, guarded: bool) -> None:
    (reference,) = parse_template(template).references
    assert reference.guarded is guarded


@pytest.mark.parametrize(
    "template",
    [
        "{% if a %}{{ a.b }}{% endif %}",
        "{% if a.status == 'succeeded' %}{{ a.b }}{% endif %}",
        "{% if a is defined and c %}{{ a.b }}{% endif %}",
        "{% if not a %}none{% else %}{{ a.b }}{% endif %}",
        "{{ a.b if a.success else 'x' }}",
        "{{ a and a.b }}",
        "{% if c %}{% elif a %}{{ a.b }}{% endif %}",
    ],
)
def test_a_condition_guards_the_reads_in_its_branches(template: str) -> None:
    (read,) = [r for r in parse_template(template).references if r.path == ("b",)]
    assert read.guarded


def test_a_condition_as_a_whole_is_a_guard() -> None:
    assert parse_expression("a").references[0].guarded
    assert not parse_expression("a", condition=False).references[0].guarded


@pytest.mark.parametrize("name", ["item", "index", "iteration", "is_first", "is_last"])
def test_a_loops_name_may_have_a_dollar_sign(name: str) -> None:
    text = f"{{{{ ${name}.part ~ ${name} }}}}"
    template = parse_template(text)
    assert not template.problems
    assert [(reference.name, reference.path) for reference in template.references] == [(name, ("part",)), (name, ())]
    assert {text[reference.start : reference.end] for reference in template.references} >= {f"${name}"}


@pytest.mark.parametrize("name", ["other", "items", "index0", "loop_state"])
def test_no_other_name_may_have_a_dollar_sign(name: str) -> None:
    (problem,) = parse_template(f"{{{{ ${name} }}}}").problems
    assert problem.code == "ORC310"
    assert f"write `{name}`" in (problem.help or "")
