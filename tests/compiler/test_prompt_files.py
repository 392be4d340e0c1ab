"""Prompts in files: found, included, checked at their places, and recorded with the plan."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.compiler import Compilation, compile_pipeline
from orchestrator.diagnostics import Source, SourceSpan
from orchestrator.language.prompt_text import PromptPart, prompt_scalar
from orchestrator.models.actions import model_tools
from orchestrator.plan.steps import Agent, ToolCall
from orchestrator.plan.value_text import source_of
from orchestrator.tools import Permissions, builtin_registry

MODEL = "ollama:m"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(files: dict[str, str]) -> None:
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def compiled(source: Any, **options: Any) -> Compilation:
    permissions = Permissions(directory=Path.cwd())
    return compile_pipeline(source, registry=builtin_registry() | model_tools(), permissions=permissions, **options)


def asking(prompt: str = "{file: prompts/p.md}", more: str = "") -> str:
    return f"inputs: {{topic: tides}}\nmodel: {MODEL}\nsteps:\n  - {{id: a, prompt: {prompt}{more}}}\n"


def prompt_of(compilation: Compilation, name: str = "prompt") -> Any:
    assert compilation.plan is not None, compilation.diagnostics
    work = compilation.plan.steps[0].work
    assert isinstance(work, ToolCall | Agent)
    return source_of(work.parameters)[name]


def test_the_text_of_the_file_is_the_prompt_without_its_last_line_break() -> None:
    write({"prompts/p.md": "\ufeffWrite about {{ topic }}.\r\nBe short.\n", "prompts/plain.md": "Just {this}.\n"})
    assert prompt_of(compiled(asking())) == "Write about {{ topic }}.\nBe short."
    assert prompt_of(compiled(asking("{file: ./prompts/plain.md}"))) == "Just {this}."


def test_system_prompts_instructions_and_messages_can_be_in_files() -> None:
    write({"s.md": "You know {{ topic }}.\n"})
    assert prompt_of(compiled(asking("Hello", ", system: {file: s.md}")), "system") == "You know {{ topic }}."
    assert prompt_of(compiled(asking("{file: s.md}", ", tools: [json]"))) == "You know {{ topic }}."
    chat = asking("Hello", ", action: chat, messages: [{role: user, content: {file: s.md}}]")
    assert prompt_of(compiled(chat), "messages") == [{"role": "user", "content": "You know {{ topic }}."}]
    extract = asking("x").replace(
        "prompt: x", "action: extract, text: t, schema: {a: string}, instruction: {file: s.md}"
    )
    assert prompt_of(compiled(extract), "instruction") == "You know {{ topic }}."


def test_a_file_includes_others_from_where_it_is() -> None:
    write(
        {
            "prompts/p.md": "Begin.\n{% if topic %}\n{% include 'parts/style.md' %}\n{% endif %}\nEnd.\n",
            "prompts/parts/style.md": 'Be {% include "word.md" %}.\n',
            "prompts/parts/word.md": "kind\n",
        }
    )
    whole = compiled(asking())
    assert prompt_of(whole) == "Begin.\n{% if topic %}\nBe kind.\n{% endif %}\nEnd."
    assert whole.plan is not None
    assert list(whole.plan.prompts) == ["prompts/p.md", "prompts/parts/style.md", "prompts/parts/word.md"]


def test_an_include_strips_white_space_as_other_statements_do_and_is_text_where_they_are() -> None:
    write(
        {"prompts/p.md": "a \n{%- include 'b.md' -%}\n c {# {% include 'x' %} #}{% raw %}{% include 'y' %}{% endraw %}"}
    )
    write({"prompts/b.md": "B"})
    assert prompt_of(compiled(asking())).startswith("aBc ")


def test_problems_are_reported_in_the_file_where_they_are() -> None:
    write({"prompts/p.md": "One.\n{% include 'q.md' %} {{ topik }}\n", "prompts/q.md": "Two {{ topic | uper }}\n"})
    found = compiled(asking()).diagnostics
    placed = [(one.source.name, one.span.start.line, one.span.start.column, one.code) for one in found]
    assert ("prompts/p.md", 2, 25, "ORC301") in placed
    assert ("prompts/q.md", 1, 16, "ORC312") in placed
    for one in found:
        if one.source.name.startswith("prompts"):
            line = one.source.lines[one.span.start.line - 1]
            assert line[one.span.start.column - 1 : one.span.end.column - 1] in ("topik", "uper")


def test_a_block_must_end_in_the_file_where_it_begins() -> None:
    write({"prompts/p.md": "{% include 'q.md' %}x{% endif %}", "prompts/q.md": "{% if topic %}"})
    found = compiled(asking()).diagnostics
    assert ("prompts/q.md", 1) in [(one.source.name, one.span.start.line) for one in found]


@pytest.mark.parametrize(
    ("prompt", "code", "said"),
    [
        ("{file: prompts/missing.md}", "ORC436", "prompt file not found"),
        ("{file: prompts}", "ORC436", "is a directory"),
        ("{file: prompts/loop.md}", "ORC436", "includes itself"),
        ("{file: prompts/latin.md}", "ORC436", "not UTF-8"),
        ("{file: ../outside.md}", "ORC406", "outside"),
        ("{file: '{{ topic }}.md'}", "ORC205", "known before the run"),
        ("{file: 3}", "ORC205", "known before the run"),
        ("{file: prompts/ok.md, name: x}", "ORC201", "unknown key `name`"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(prompt: str, code: str, said: str) -> None:
    write({"prompts/loop.md": "{% include 'loop.md' %}", "prompts/ok.md": "fine {{ topic }}"})
    Path("prompts/latin.md").write_bytes(b"caf\xe9")
    found = [one for one in compiled(asking(prompt)).diagnostics if one.severity == "error"]
    assert [one.code for one in found] == [code]
    assert said in found[0].message
    assert found[0].help


def test_a_long_chain_of_includes_is_refused() -> None:
    write({f"prompts/p{number}.md": f"{{% include 'p{number + 1}.md' %}}" for number in range(120)})
    found = [one.code for one in compiled(asking("{file: prompts/p0.md}")).diagnostics]
    assert "ORC436" in found


def test_a_plan_has_the_texts_and_compiles_from_them_alone() -> None:
    write({"prompts/p.md": "{% include 'q.md' %} {{ topic }}", "prompts/q.md": "Hello"})
    first = compiled(asking()).plan
    assert first is not None
    for path in Path("prompts").iterdir():
        path.write_text("changed", encoding="utf-8")
    again = compiled(asking(), sources=first.sources).plan
    assert again is not None
    assert again.digest == first.digest
    changed = compiled(asking()).plan
    assert changed is not None
    assert changed.digest != first.digest


def test_a_prompt_of_a_called_pipeline_is_recorded_with_the_caller() -> None:
    write({"parts/child.yaml": asking("{file: p.md}"), "parts/p.md": "Write about {{ topic }}."})
    plan = compiled("steps: [{id: part, pipeline: parts/child.yaml}]\n").plan
    assert plan is not None
    assert plan.sources["parts/p.md"] == "Write about {{ topic }}."


def test_an_untrusted_text_uses_only_the_files_that_it_may() -> None:
    write({"prompts/p.md": "secret", "prompts/free.md": "{% include 'p.md' %}"})
    refused = compiled(asking(), may_read=lambda _: False).diagnostics
    missing = compiled(asking("{file: prompts/x.md}"), may_read=lambda _: False).diagnostics
    assert [one.message.replace("p.md", "x.md") for one in refused] == [one.message for one in missing]
    assert {one.code for one in refused} <= {"ORC406", "ORC501"}
    free = compiled(asking("{file: prompts/free.md}"), may_read=lambda path: path.name == "free.md").diagnostics
    assert "ORC406" in {one.code for one in free}
    assert "secret" not in str(free)


@given(st.lists(st.tuples(st.text("ab\n {", max_size=6), st.text("x\ny", max_size=4)), min_size=1, max_size=6))
def test_each_character_has_its_place_in_its_file(pieces: list[tuple[str, str]]) -> None:
    parts = [
        PromptPart(Source.of(f"f{n}", before + text), text, len(before)) for n, (text, before) in enumerate(pieces)
    ]
    scalar = prompt_scalar(parts)
    offset = 0
    for part in parts:
        for within, character in enumerate(part.text):
            span = scalar.span_of(offset + within, offset + within + 1)
            assert isinstance(span, SourceSpan)
            assert span.source is part.source
            lines = part.source.text.split("\n")
            place = sum(len(line) + 1 for line in lines[: span.start.line - 1]) + span.start.column - 1
            assert part.source.text[place] == character
        offset += len(part.text)


# --- profiles


PROFILED = """
inputs: {topic: tides}
profiles:
  careful: {model: "ollama:m", temperature: 0, effort: high, system: {file: s.md}}
steps:
  - {id: a, prompt: "{{ topic }}", profile: careful, temperature: 0.5}
"""


def test_a_step_has_the_settings_of_its_profile_that_it_does_not_have_itself() -> None:
    write({"s.md": "You know {{ topic }}."})
    whole = compiled(PROFILED)
    assert whole.plan is not None, whole.diagnostics
    work = whole.plan.steps[0].work
    assert isinstance(work, ToolCall)
    assert source_of(work.parameters) == {
        "model": "ollama:m",
        "temperature": 0.5,
        "effort": "high",
        "system": "You know {{ topic }}.",
        "prompt": "{{ topic }}",
    }


def test_profiles_are_checked_where_they_are() -> None:
    write({"s.md": "x"})
    source = PROFILED.replace("profile: careful", "profile: carefull").replace("effort: high", "efort: high")
    found = [(one.code, one.help) for one in compiled(source).diagnostics]
    assert ("ORC205", "did you mean `careful`?") in found
    assert ("ORC201", "did you mean `effort`?") in found
    unused = PROFILED.replace(", profile: careful", ", model: 'ollama:m'")
    assert [(one.code, one.severity) for one in compiled(unused).diagnostics] == [("ORC504", "warning")]
    wrong = PROFILED.replace("effort: high", "effort: extreme")
    assert "ORC405" in [one.code for one in compiled(wrong).diagnostics]
