"""Types of templates, and what is sure to go wrong with them."""

from __future__ import annotations

import pytest

from orchestrator.expressions import (
    ANY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    Type,
    array_of,
    object_of,
    parse_template,
    union_of,
)

ROW = object_of({"k": INTEGER, "v": STRING})
STEP = Type(
    "string",
    attributes={
        "content": STRING,
        "path": STRING,
        "result": object_of({"content": STRING, "path": STRING}),
        "status": STRING,
    },
)
ENV = {
    "n": INTEGER,
    "x": NUMBER,
    "word": STRING,
    "flag": BOOLEAN,
    "rows": array_of(ROW),
    "obj": object_of({"name": STRING, "age": INTEGER}),
    "open_": Type("object", properties={"name": STRING}),
    "fetch": STEP,
    "steps": object_of({"fetch": STEP}, closed=False),
    "free": ANY,
    "maybe": union_of([STRING, Type("null")]),
    "my-step": STEP,
}


@pytest.mark.parametrize(
    ("expression", "type_"),
    [
        ("n", INTEGER),
        ("n + 1", INTEGER),
        ("n / 2", NUMBER),
        ("n * x", NUMBER),
        ("word ~ n", STRING),
        ("word + 'a'", STRING),
        ("n > 1 and flag", BOOLEAN),
        ("rows[0].k", INTEGER),
        ("rows | first", ROW),
        ("rows | length", INTEGER),
        ("word.split(',')", array_of(STRING)),
        ("word.split(',')[0]", STRING),
        ("obj.name", STRING),
        ("open_.other", ANY),
        ("free.a.b | upper", STRING),
        ("fetch.result.path", STRING),
        ("steps.fetch.path", STRING),
        ("'a' if flag else 1", union_of([STRING, INTEGER])),
        ("[1, 2]", array_of(INTEGER)),
        ("{'a': n}.a", INTEGER),
        ("obj | to_json | from_json", ANY),
        ("maybe | default('x')", union_of([STRING, Type("null")])),
        ("n | default(0) | abs", INTEGER),
        ("range(3)", array_of(INTEGER)),
        ("not n", BOOLEAN),
        ("-n", INTEGER),
        ("rows[1:]", array_of(ROW)),
    ],
)
def test_the_type_of_an_expression_is_known(expression: str, type_: Type) -> None:
    inference = parse_template("{{ " + expression + " }}").infer(ENV)
    assert inference.problems == ()
    assert inference.type == type_


def test_text_with_expressions_is_a_string() -> None:
    assert parse_template("a {{ n }}").infer(ENV).type == STRING
    assert parse_template("{{ n }}").infer(ENV).type == INTEGER


@pytest.mark.parametrize(
    ("template", "code", "culprit", "words"),
    [
        ("{{ wrod }}", "ORC301", "wrod", "did you mean `word`?"),
        ("{{ wrod | default('') }}", "ORC301", "wrod", "did you mean `word`?"),
        ("{{ now }}", "ORC301", "now", "write `now()`"),
        ("{{ loop.index }}", "ORC301", "loop", "inside a `{% for %}`"),
        ("{{ my-stpe.path }}", "ORC301", "my-stpe", "did you mean `my-step`?"),
        ("{{ foo-bar }}", "ORC301", "foo-bar", "subtraction"),
        ("{{ obj.nam }}", "ORC303", "nam", "did you mean `name`?"),
        ("{{ obj['nam'] }}", "ORC303", "'nam'", "did you mean `name`?"),
        ("{{ fetch.tilte }}", "ORC303", "tilte", ""),
        ("{{ fetch.result.titl }}", "ORC303", "titl", ""),
        ("{{ obj.nam | default('') }}", "ORC303", "nam", "did you mean `name`?"),
        ("{{ obj['nam'] | d('') }}", "ORC303", "'nam'", "did you mean `name`?"),
        ("{{ word.length | default('') }}", "ORC303", "length", ""),
        ("{{ open_.nam | default('') }}{{ free.nam | default('') }}{{ maybe | default('') }}", None, "", ""),
        ("{{ obj.nam is defined }}", None, "", ""),
        ("{{ rows.k }}", "ORC303", "k", "[0]"),
        ("{{ word.upper }}", "ORC303", "upper", "call the method: `.upper()`"),
        ("{% for r in rows %}{{ r.z }}{% endfor %}", "ORC303", "z", ""),
        ("{{ word + 1 }}", "ORC316", "word + 1", "`~`"),
        ("{{ obj + 1 }}", "ORC316", "obj + 1", ""),
        ("{{ word > 3 }}", "ORC316", "word > 3", "`| int`"),
        ("{{ n | length }}", "ORC316", "n | length", ""),
        ("{{ word | round }}", "ORC316", "word | round", "`| float | round`"),
        ("{{ word.items() }}", "ORC316", "word.items()", ""),
        ("{{ 1 in n }}", "ORC316", "n", ""),
        ("{{ -word }}", "ORC316", "-word", ""),
        ("{{ n[0] }}", "ORC316", "n[0]", ""),
        ("{% for i in n %}{% endfor %}", "ORC316", "n", "loop over a list"),
        ("{% for i in rows %}{% endfor %}{{ i }}", "ORC301", "i", ""),
        ("{% if flag %}{% set z = 1 %}{% endif %}{{ z }}", None, "", ""),
        ("{{ maybe + 'x' }}", None, "", ""),
        ("{{ maybe > 'x' }}", None, "", ""),
        ("{{ free + 1 + word }}", None, "", ""),
        ("{{ n == word }}", None, "", ""),
        ("{% set t = obj %}{{ t.nam }}", "ORC303", "nam", "did you mean `name`?"),
        ("{{ env.HOME }}", "ORC301", "env", "default_from_env"),
        ("{{ os.environ['HOME'] }}", "ORC301", "os", "default_from_env"),
        ("{{ now().year }}", "ORC303", "year", "`now() | date('%Y')`"),
        ("{{ word.month }}", "ORC303", "month", "`word | date('%m')`"),
        ("{{ rows.length }}", "ORC303", "length", "`rows | length`"),
        ("{% for k, v in obj %}{% endfor %}", "ORC316", "obj", "`.items()`"),
        ("{% for k, v in word %}{% endfor %}", "ORC316", "word", "each item must be a list"),
        ("{% for k, v in rows %}{% endfor %}", "ORC316", "rows", "each item must be a list"),
        ("{% for k, v in [1, 2] %}{% endfor %}", "ORC316", "[1, 2]", "each item must be a list"),
        ("{% for k, v in obj.items() %}{{ k ~ v }}{% endfor %}", None, "", ""),
        ("{% for k, v in rows | groupby('k') %}{{ k }}{% endfor %}", None, "", ""),
        ("{% for k, v in free %}{% endfor %}{% for k, v in [[1, 2]] %}{% endfor %}", None, "", ""),
        ("{% set a, b = word %}", "ORC316", "word", "a list of values"),
        ("{% set a, b = 1, 2 %}{% set c, d = free %}{{ a + b }}", None, "", ""),
        ("{{ obj.items }}", "ORC303", "items", "call the method: `.items()`"),
        ("{% for r in rows %}{{ ',' if not loop.lst }}{% endfor %}", "ORC303", "lst", "did you mean `last`?"),
        ("{% for r in rows %}{{ loop.cycle(1, 2) }}{{ loop.previtem.k | default(0) }}{% endfor %}", None, "", ""),
        ("{% set ns = namespace(total=0) %}{{ ns.totl }}", "ORC303", "totl", "did you mean `total`?"),
        (
            "{% set ns = namespace(a=0) %}{% for r in rows %}{% set ns.b = r.k %}{% endfor %}{{ ns.a + ns.b }}",
            None,
            "",
            "",
        ),
        ("{% set ns = namespace() %}{% set ns.found = 1 %}{{ ns.fond }}", "ORC303", "fond", "did you mean `found`?"),
    ],
)
def test_only_what_can_never_work_is_reported(template: str, code: str | None, culprit: str, words: str) -> None:
    parsed = parse_template(template, hyphenated=frozenset({"my-step"}))
    assert parsed.problems == ()
    problems = parsed.infer(ENV).problems
    assert [problem.code for problem in problems] == ([code] if code else [])
    for problem in problems:
        assert template[problem.start : problem.end] == culprit
        assert words in (problem.help or "")


STATES = {
    "state": Type("string", enum=("succeeded", "failed")),
    "level": union_of([Type("string", enum=("low", "high")), Type("null")]),
    "flag": BOOLEAN,
    "n": INTEGER,
    "size": Type("integer", enum=(1, 2)),
    "free": ANY,
    "mixed": union_of([STRING, INTEGER]),
    "word": STRING,
}


@pytest.mark.parametrize(
    ("comparison", "culprits", "help"),
    [
        ("state == 'succeeded'", [], ""),
        ("state == 'completed'", ["completed"], "did you mean `succeeded`?"),
        ("state != 'error'", ["error"], "did you mean `failed`?"),
        ("'faild' == state", ["faild"], "did you mean `failed`?"),
        ("state in ['succeeded', 'nope', 'x']", ["nope", "x"], "compare it with one of these"),
        ("state not in ('failed', 'done')", ["done"], "did you mean `succeeded`?"),
        ("level == 'medium'", ["medium"], "compare it with one of these"),
        ("level == null or level == 'low'", [], ""),
        ("flag == 'true'", ["true"], "use the value alone"),
        ("flag == true or flag == 1", [], ""),
        ("size == 3", ["3"], "compare it with one of these"),
        ("n == '5'", ["5"], "without quotes"),
        ("n == 5 or mixed == 'a' or mixed == 5 or free == 'x' or word == 'x'", [], ""),
        ("state | upper == 'FAILED'", [], ""),
        ("state ~ '' == 'x' or state < 'x' or 'x' in state", [], ""),
    ],
)
def test_a_comparison_with_what_a_closed_set_has_not_is_never_true(
    comparison: str, culprits: list[str], help: str
) -> None:
    template = "{{ " + comparison + " }}"
    problems = parse_template(template).infer(STATES).problems
    assert [template[problem.start : problem.end] for problem in problems] == culprits
    assert all((problem.code, problem.severity) == ("ORC511", "warning") for problem in problems)
    assert all(help in (problem.help or "") for problem in problems)
    for problem in problems:
        if problem.replacement is not None:
            mended = template[: problem.start] + problem.replacement + template[problem.end :]
            assert parse_template(mended).infer(STATES).problems == ()


def test_a_missing_field_is_told_with_the_fields_that_are_there() -> None:
    (problem,) = parse_template("{{ fetch.title }}").infer(ENV).problems
    assert problem.message == "`title` is not a field of `fetch`; it has `content`, `path`, `result`, `status`"


def test_each_undefined_name_of_a_text_is_reported_at_its_place() -> None:
    text = "Line é 😀\n  {{ aa }} and {% if bb %}{{ cc.d }}{% endif %}"
    problems = parse_template(text).infer({}).problems
    assert [(p.code, text[p.start : p.end]) for p in problems] == [("ORC301", "aa"), ("ORC301", "bb"), ("ORC301", "cc")]


@pytest.mark.parametrize(
    "template",
    [
        "{% include 'x' %}{{ include }}{{ word }}",
        "{% include 'x' ignore missing with context %}{{ missing }}{{ word }}",
        "{% from 'x' import help as aid %}{{ import }}{{ aid }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ macro }}",
        "{% filter upper %}a{% endfilter %}{{ upper }}",
        "{% fro i in rows %}{{ fro }}{{ i }}{% endfor %}",
    ],
)
def test_a_refused_statement_makes_the_names_that_it_would_have_made_and_no_others(template: str) -> None:
    (problem,) = parse_template(template).infer({"word": STRING, "rows": array_of(ROW)}).problems
    assert problem.code == "ORC301"


def test_the_names_that_a_help_lists_can_all_be_written() -> None:
    (problem,) = parse_template("{% set t %}x{% endset %}{{ nowhere }}").infer({"word": STRING}).problems
    assert problem.help == "the defined names are `t`, `word`"
