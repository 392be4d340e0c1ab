"""Files with very many problems: all are listed up to a limit, and the work for each stays small."""

import pytest

from orchestrator.compiler.ir import diagnostics as findings
from orchestrator.diagnostics import Vocabulary, bounded_suggestions, diagnostics_json, render_text, suggest
from orchestrator.diagnostics import suggest as suggest_module
from orchestrator.language.loader import steps, validation
from tests.compiler.test_compilation import compiled

WRONG = 'inputs: {{topic: x}}\nsteps:\n  - id: a\n    tool: echo\n    parameters: {{value: "{}"}}\n'


def wrong_names(count: int) -> str:
    return WRONG.format(" ".join("{{ topci }}" for _ in range(count)))


def test_beyond_the_limit_one_more_problem_reports_that_there_are_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "MAX_DIAGNOSTICS", 10)
    found = compiled(wrong_names(50)).diagnostics
    assert sorted({diagnostic.code for diagnostic in found}) == ["ORC105", "ORC301"]
    assert len(found) == 11


def test_unknown_keys_beyond_the_limit_are_counted_by_one_more_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MAX_DIAGNOSTICS", 10)
    step = "steps:\n  - id: a\n    tool: echo\n    parameters: {value: 1}\n"
    found = compiled(step + "".join(f"    zzz{n}: 1\n" for n in range(50))).diagnostics
    assert [diagnostic.code for diagnostic in found] == ["ORC105", *["ORC201"] * 10]


def test_more_steps_than_are_read_are_one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MAX_STEPS", 10)
    text = "".join(f"  - {{id: s{n}, tool: echo, parameters: {{value: 1}}}}\n" for n in range(30))
    found = compiled(f"steps:\n{text}outputs: {{a: '{{{{ s29 }}}}'}}\n").diagnostics
    assert [(each.code, each.span.start.line) for each in found] == [("ORC105", 12)]
    nested = "  - id: g\n    parallel:\n" + text.replace("  - {", "      - {")
    assert [each.code for each in compiled(f"steps:\n{nested}").diagnostics] == ["ORC105"]
    assert compiled(f"steps:\n{''.join(text.splitlines(keepends=True)[:10])}").ok


def test_all_problems_are_in_json_and_the_text_shows_the_first_five() -> None:
    found = compiled(wrong_names(2_000)).diagnostics
    assert len(diagnostics_json(found)["diagnostics"]) == 2_000
    text = render_text(found)
    assert text.count("`topci` is not defined") == 5
    assert "error[ORC301]: 1,995 more of this kind (undefined name)" in text
    assert text.endswith("2,000 errors")


def test_problems_that_are_not_alike_are_folded_by_themselves() -> None:
    wrong = [*["topci"] * 11, *["topic.x"] * 12, *["1 + 'a'"] * 10, *[f"other_{n}.x" for n in range(3)]]
    text = WRONG.format(" ".join(f"{{{{ {name} }}}}" for name in wrong))
    shown = render_text(compiled(text.replace("topic: x", "topic: {type: string}")).diagnostics)
    assert "error[ORC301]: 9 more of this kind" in shown  # those of all names that are not defined
    assert "error[ORC303]: 7 more of this kind" in shown
    assert shown.count("error[ORC316]: ") == 10


def test_a_wrong_name_in_many_steps_gets_the_same_suggestion_everywhere() -> None:
    parts = "".join(
        f'  - {{id: part_{n}, tool: echo, parameters: {{value: "{{{{ topci }}}}"}}}}\n' for n in range(1_000)
    )
    found = compiled(f"inputs: {{topic: x}}\nsteps:\n{parts}").diagnostics
    assert {diagnostic.help for diagnostic in found} == {"did you mean `topic`?"}


def test_equal_texts_of_many_diagnostics_are_stored_once() -> None:
    parts = "".join(
        f'  - {{id: part_{n}, tool: echo, zzz: 1, parameters: {{value: "{{{{ qqq }}}}"}}}}\n' for n in range(50)
    )
    found = compiled(f"inputs: {{topic: x}}\nsteps:\n{parts}").diagnostics
    assert len({id(each.help) for each in found if each.code == "ORC201"}) == 1
    assert len({each.help for each in found if each.code == "ORC301"}) < 50


def test_a_name_is_looked_for_once_among_fixed_names(monkeypatch: pytest.MonkeyPatch) -> None:
    module = __import__("sys").modules[suggest_module.__module__]
    monkeypatch.setattr(module, "MAX_WORK", 100)
    with bounded_suggestions():
        assert [suggest("topci", ("topic", "style")) for _ in range(100)] == ["topic"] * 100
        assert suggest("topci", [f"topic_{n}" for n in range(100)]) is None  # the work of this is not done
        assert suggest("topci", ("topic", "style")) == "topic"


def test_suggestions_end_when_their_work_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"step_number_{n}" for n in range(100)]
    module = __import__("sys").modules[suggest_module.__module__]
    monkeypatch.setattr(module, "MAX_WORK", 20_000)
    wrong = [f"step_numbr_{n}" for n in range(100)]
    assert all(suggest(name, names) for name in wrong)  # each by itself has all of the work
    with bounded_suggestions():
        found = [suggest(name, names) for name in wrong]
    assert found[0] == "step_number_0"
    assert found[-1] is None


def test_a_vocabulary_looks_for_a_name_once() -> None:
    looked: list[str] = []

    def names() -> list[str]:
        looked.append("")
        return ["topic", "style"]

    around = Vocabulary(lambda: ["place"])
    vocabulary = Vocabulary(names, around)
    assert [vocabulary.near("topci") for _ in range(5)] == ["topic"] * 5
    assert [vocabulary.near("plcae") for _ in range(5)] == ["place"] * 5
    assert vocabulary.near("colour", "color") == "color"
    assert len(looked) == 3
    assert vocabulary.near("topci", without={"topic"}) is None
    assert vocabulary.smallest() == ["place", "style", "topic"]
    assert vocabulary.first() == ["topic", "style", "place"]
