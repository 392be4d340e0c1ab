"""Models in a file: which one a step asks that names none, what is wrong with those named, and what outputs must be."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.compiler import Compilation, compile_pipeline
from orchestrator.diagnostics import render_text
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.model_options import CallSpec
from orchestrator.models.actions import model_tools
from orchestrator.models.budget import Budget
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.selection import default_model
from orchestrator.plan.model import Plan
from orchestrator.plan.policies import Check
from orchestrator.plan.steps import ForEach, StepPlan, ToolCall
from orchestrator.plan.value_text import source_of
from orchestrator.remedies import Replay, StoreKey
from orchestrator.tools import Permissions, Registry, builtin_registry, to_tools
from tests.conformance import tools

REGISTRY: Registry = builtin_registry() | model_tools() | Registry(to_tools(tools))


@pytest.fixture(autouse=True)
def nothing_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without keys, on which an Ollama runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(default_model, "ollama_is_running", lambda *_: True)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    for provider in PROVIDERS.values():
        for variable in (*provider.key_variables, *provider.own_keys):
            monkeypatch.delenv(variable, raising=False)
    return tmp_path


def compiled(source: Any, **options: Any) -> Compilation:
    return compile_pipeline(source, registry=REGISTRY, permissions=Permissions(directory=Path.cwd()), **options)


def plan_of(source: Any, **options: Any) -> Plan:
    compilation = compiled(source, **{"live_models": False, **options})
    assert compilation.plan is not None, render_text(compilation.diagnostics)
    return compilation.plan


def step_of(step: dict[str, Any], **file: Any) -> StepPlan:
    return plan_of({**file, "steps": [{"id": "a", **step}]}).steps[0]


def parameters_of(step: StepPlan) -> Any:
    work = step.work.body.work if isinstance(step.work, ForEach) and isinstance(step.work.body, StepPlan) else step.work
    assert isinstance(work, ToolCall)
    return source_of(work.parameters)


def codes(source: Any, **options: Any) -> list[tuple[str, str, int]]:
    found = compiled(source, **options).diagnostics
    assert all(diagnostic.advice for diagnostic in found)
    return [(diagnostic.code, diagnostic.severity, diagnostic.span.start.line) for diagnostic in found]


GIVEN: dict[str, Any] = {
    "prompt": "Write on {{ topic }}.",
    "system": "Be brief.",
    "personality": "A sailor",
    "model": ["ollama:llama3.2", "auto"],
    "requires_model": {"capabilities": ["vision"]},
    "selection": "cost",
    "temperature": 0.2,
    "max_tokens": 100,
    "seed": 7,
    "stop": ["END"],
    "images": "{{ topic }}",
    "files": ["{{ topic }}"],
    "schema": {"title": "string"},
}


@settings(max_examples=60)
@given(st.sets(st.sampled_from(sorted(set(GIVEN) - {"prompt"}))), st.data())
def test_what_is_said_in_the_step_is_the_same_as_below_parameters(names: set[str], data: st.DataObject) -> None:
    given = {name: GIVEN[name] for name in ("prompt", *sorted(names))}
    alongside = data.draw(st.sets(st.sampled_from(sorted(given))))
    step = {"id": "a", **{name: given[name] for name in alongside}}
    if below := {name: value for name, value in given.items() if name not in alongside}:
        step["parameters"] = below
    action = "generate" if "schema" in names else "generate_text"
    whole = {"id": "a", "tool": "model", "action": action, "parameters": given}
    if "prompt" not in alongside:  # which alone makes it a call of a model
        step["action"] = action
    one, other = (plan_of({"inputs": {"topic": "x"}, "steps": [each]}) for each in (step, whole))
    assert one.digest == other.digest


def test_every_key_of_a_call_is_a_parameter_of_an_action() -> None:
    model = REGISTRY.get("model")
    assert model is not None
    assert set(key_fields(CallSpec)) <= {name for action in model.actions.values() for name in action.parameters}


SPELLED = {
    ("llm", None, "prompt"): "generate_text",
    ("llm", None, "schema"): "generate",
    ("llm", "generate-text", "prompt"): "generate_text",
    (None, "llm_generate", "prompt"): "generate_text",
    (None, "generate", "prompt"): "generate_text",
    (None, "generate", "schema"): "generate",
    (None, "generate-structured", "schema"): "generate",
    ("llm-generate", None, "prompt"): "generate_text",
    ("model", None, "prompt"): "generate_text",
    ("AI", "generate_structured", "schema"): "generate",
}


@pytest.mark.parametrize(("tool", "action", "asks"), SPELLED)
def test_other_words_for_a_call_of_a_model_are_understood(tool: str | None, action: str | None, asks: str) -> None:
    words = {name: word for name, word in (("tool", tool), ("action", action)) if word is not None}
    more = {"schema": {"title": "string"}} if asks == "schema" else {}
    work = step_of({**words, "parameters": {"prompt": "x", **more}}).work
    assert isinstance(work, ToolCall)
    assert (work.tool.name, work.action.name) == ("model", SPELLED[tool, action, asks])


def test_a_tool_of_ones_own_goes_before_other_words_for_a_model() -> None:
    def llm(prompt: str) -> str:
        return prompt

    found = compile_pipeline(
        {"steps": [{"id": "a", "tool": "llm", "prompt": "x"}]},
        registry=REGISTRY.with_tools(llm),
        permissions=Permissions(directory=Path.cwd()),
    )
    assert found.plan is not None
    work = found.plan.steps[0].work
    assert isinstance(work, ToolCall)
    assert (work.tool.name, source_of(work.parameters)) == ("llm", {"prompt": "x"})


EXPERTS = {"summarize": "s:1", "model.classify": ["c:1", "c:2"], "model": "m:1"}
SERVERS = "[servers.s]\nbase_url='http://localhost:1/v1'\n[servers.c]\nbase_url='http://localhost:1/v1'\n"
SERVERS += "[servers.m]\nbase_url='http://localhost:1/v1'\n[servers.f]\nbase_url='http://localhost:1/v1'\n"

EFFECTIVE: dict[str, tuple[dict[str, Any], dict[str, Any], Any, Any]] = {
    # what: the file, the step, the model, the selection
    "nothing": ({}, {"prompt": "x"}, None, None),
    "the file's model": ({"model": "f:1"}, {"prompt": "x"}, "f:1", None),
    "the file's models": ({"default_model": ["f:1", "f:2"]}, {"prompt": "x"}, ["f:1", "f:2"], None),
    "its own": ({"model": "f:1"}, {"prompt": "x", "model": "s:1"}, "s:1", None),
    "its own by a template": ({"model": "f:1"}, {"prompt": "x", "model": "{{ t }}"}, "{{ t }}", None),
    "an explicit null": ({"model": "f:1"}, {"prompt": "x", "model": None}, "f:1", None),
    "an expert by action": ({"experts": EXPERTS}, {"action": "summarize", "parameters": {"text": "x"}}, "s:1", None),
    "an expert by tool and action": (
        {"experts": EXPERTS, "model": "f:1"},
        {"action": "classify", "parameters": {"text": "x", "labels": ["y", "z"]}},
        ["c:1", "c:2"],
        None,
    ),
    "an expert by tool": ({"experts": EXPERTS, "model": "f:1"}, {"prompt": "x"}, "m:1", None),
    "requirements": (
        {"model": "f:1", "selection": "speed"},
        {"prompt": "x", "requires_model": {"context": 10}},
        None,
        "speed",
    ),
    "requirements with a selection of their own": (
        {"selection": "speed"},
        {"prompt": "x", "requires_model": {"context": 10}, "selection": "cost"},
        None,
        "cost",
    ),
    "in a loop": ({"model": "f:1"}, {"for_each": [1], "prompt": "x"}, "f:1", None),
}


@pytest.mark.parametrize("case", EFFECTIVE)
def test_a_step_that_names_no_model_goes_by_what_the_file_says(case: str, nothing_at_hand: Path) -> None:
    nothing_at_hand.joinpath("orchestrator.toml").write_text(SERVERS)
    file, step, model, selection = EFFECTIVE[case]
    given = parameters_of(step_of(step, inputs={"t": "f:1"}, outputs={"t": "{{ t }}"}, **file))
    assert (given.get("model"), given.get("selection")) == (model, selection)


VECTORS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    # what: the file, the model, the providers that are required
    "a model of texts": ({"model": "openai:gpt-5-mini"}, None, ["openai"]),
    "models of texts": ({"model": ["anthropic:claude-haiku-4-5", "mistral:mistral-small-latest"]}, None, ["mistral"]),
    "a custom server": ({"model": "f:1"}, None, ["f"]),
    "whatever is there": ({"model": "auto"}, None, None),
    "a model of vectors": ({"model": "openai:text-embedding-3-small"}, "openai:text-embedding-3-small", None),
    "an expert": ({"model": "f:1", "experts": {"embed": "s:1"}}, "s:1", None),
}


@pytest.mark.parametrize("case", VECTORS)
def test_vectors_are_made_at_the_providers_that_the_file_names_and_not_by_its_models_of_texts(
    case: str, nothing_at_hand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI", "MISTRAL", "ANTHROPIC"):
        monkeypatch.setenv(f"{name}_API_KEY", "k")
    nothing_at_hand.joinpath("orchestrator.toml").write_text(SERVERS)
    file, model, providers = VECTORS[case]
    given = parameters_of(step_of({"action": "embed", "text": "x"}, **file))
    assert given.get("model") == model
    assert given.get("requires_model") == (providers and {"providers": providers})


def test_a_call_of_another_tool_is_given_no_model() -> None:
    assert parameters_of(step_of({"tool": "log", "parameters": {"message": "x"}}, model="auto")) == {"message": "x"}


def test_the_models_of_a_file_change_the_digest_and_names_do_not() -> None:
    def digest(**file: Any) -> str:
        return plan_of({**file, "steps": [{"id": "a", "prompt": "x"}]}).digest

    told: list[dict[str, Any]] = [
        {},
        {"model": "auto"},
        {"model": "ollama:llama3.2"},
        {"budget": 2},
        {"budget": {"tokens": 2}},
    ]
    assert len({digest(**file) for file in told}) == len(told)
    assert digest(model="auto") == digest(experts={"generate_text": "auto"}, name="Tides", description="On tides")


def test_a_called_pipeline_goes_by_its_own_keys(nothing_at_hand: Path) -> None:
    nothing_at_hand.joinpath("own.yaml").write_text("model: ollama:llama3.2\nsteps: [{id: a, prompt: x}]\n")
    nothing_at_hand.joinpath("bare.yaml").write_text("steps: [{id: a, prompt: x}]\n")
    calls = [{"id": name, "pipeline": f"{name}.yaml"} for name in ("own", "bare")]
    plan = plan_of({"model": "auto", "steps": calls})
    found = {key: parameters_of(called.steps[0]) for key, called in plan.pipelines.items()}
    assert found == {"own.yaml": {"prompt": "x", "model": "ollama:llama3.2"}, "bare.yaml": {"prompt": "x"}}


def test_a_missing_key_is_reported_once_with_the_steps_that_need_it() -> None:
    names = ["openai:gpt-5-mini", "openai:gpt-5-nano"]
    steps = [{"id": f"s{n}", "prompt": "x", **({"model": names[n % 2]} if n else {})} for n in range(40)]
    [found] = compiled({"model": names[0], "steps": steps}).diagnostics
    assert (found.code, found.span.start.line) == ("ORC422", 1)
    assert found.notes == ("40 steps need it: `s0`, `s1`, `s2`, `s3`, `s4`, ...",)
    assert (found.help, found.remedies) == ("set OPENAI_API_KEY", (StoreKey("openai"),))


def test_a_missing_key_is_an_error_if_no_other_model_can_be_called() -> None:
    steps = [{"id": "a", "prompt": "x", "model": ["openai:gpt-5-mini", "auto"]}]
    steps.append({"id": "b", "prompt": "x", "model": "openai:gpt-5-nano"})
    [found] = compiled({"steps": steps}).diagnostics
    assert (found.severity, found.label, found.notes) == ("error", "no key", ("2 steps need it: `a`, `b`",))
    assert "gpt-5-nano" in found.message


AUTOS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "named": ({"model": "auto"}, [("ORC422", "error")]),
    "not named": ({}, [("ORC422", "error")]),
    "in a list": ({"model": ["auto", "ollama:qwen3"]}, [("ORC422", "warning")]),
    "for a judge": ({"model": "ollama:qwen3", "judge_model": "auto"}, [("ORC422", "error")]),
}


@pytest.mark.parametrize("case", AUTOS)
def test_auto_needs_a_key_or_a_running_ollama_and_the_ways_out_are_named(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, expected = AUTOS[case]
    steps = [{"id": name, "prompt": "x", "check": {"judge": "Good?"}} for name in ("a", "b")]
    assert codes({**file, "steps": steps}) == []
    monkeypatch.setattr(default_model, "ollama_is_running", lambda *_: False)
    found = compiled({**file, "steps": steps}).diagnostics
    assert [(each.code, each.severity) for each in found] == expected
    assert found[0].help == "start Ollama or set the API key of a provider"
    assert found[0].remedies == (StoreKey(), Replay())
    assert "`a`, `b`" in found[0].notes[0]
    assert codes({**file, "steps": steps}, live_models=False) == []
    monkeypatch.setenv("GROQ_API_KEY", "not-a-real-key")
    assert codes({**file, "steps": steps}) == []


def test_the_default_of_the_settings_needs_its_own_key(nothing_at_hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nothing_at_hand / "orchestrator.toml").write_text('[models]\ndefault = "openai:gpt-5-mini"\n')
    [found] = compiled({"steps": [{"id": "a", "prompt": "x"}]}).diagnostics
    assert (found.code, "OPENAI_API_KEY" in (found.help or "")) == ("ORC422", True)
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key")
    assert codes({"steps": [{"id": "a", "prompt": "x"}]}) == []


def test_a_key_in_the_environment_or_in_the_file_of_keys_will_do(
    nothing_at_hand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = {"model": "openai:gpt-5-mini", "steps": [{"id": "a", "prompt": "x"}]}
    assert not compiled(pipeline).ok
    home = nothing_at_hand / "home"
    home.mkdir()
    file = home / ".env"
    file.write_text("OPENAI_API_KEY=secret\n")
    file.chmod(0o600)
    assert compiled(pipeline).ok
    file.chmod(0o644)
    [found] = compiled(pipeline).diagnostics
    assert found.code == "ORC422"
    assert "chmod 600" in (found.help or "")
    assert "secret" not in render_text([found])
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert compiled(pipeline).ok


def test_keys_are_of_no_interest_where_no_model_is_asked_by_name(nothing_at_hand: Path) -> None:
    home = nothing_at_hand / "home"
    home.mkdir()
    home.joinpath(".env").write_text("this is no file of keys\n")
    tool = {"id": "a", "tool": "log", "parameters": {"message": "x"}}
    for source in (
        {"steps": [tool]},
        {"model": "openai:gpt-5-mini", "steps": [tool]},
        {"model": "ollama:llama3.2", "steps": [{"id": "a", "prompt": "x"}]},
        {"inputs": {"m": "openai:gpt-5"}, "steps": [{"id": "a", "prompt": "x", "model": "{{ m }}"}]},
        {"steps": [{"id": "a", "prompt": "x", "requires_model": {"capabilities": ["vision"]}}]},
    ):
        assert compiled(source).diagnostics == ()


def test_a_check_of_a_pipeline_without_named_models_looks_nothing_up() -> None:
    program = """
import sys
from pathlib import Path
from orchestrator.compiler import compile_pipeline
from orchestrator.models.actions import model_tools
from orchestrator.tools import Permissions, builtin_registry
step = {"id": "a", "tool": "log", "parameters": {"message": "x"}, "check": "output", "budget": 2}
found = compile_pipeline({"model": "openai:gpt-5-mini", "steps": [step]}, registry=builtin_registry() | model_tools(),
                         permissions=Permissions(directory=Path()))
assert found.ok, found.diagnostics
heavy = ("orchestrator.models.catalog.entries", "orchestrator.models.catalog.keys", "orchestrator.models.actions.tool",
         "orchestrator.models.clients", "genai_prices", "pydantic_ai", "openai", "jsonschema")
assert not [name for name in heavy if name in sys.modules], sys.modules.keys() & set(heavy)
found = compile_pipeline({"steps": [{"id": "a", "prompt": "x", "model": "openai:gpt-5-mini"}]},
                         registry=builtin_registry() | model_tools(), permissions=Permissions(directory=Path()))
assert [d.code for d in found.diagnostics] == ["ORC422"]
assert not [name for name in ("pydantic_ai", "openai", "anthropic") if name in sys.modules]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


LISTS: dict[str, tuple[list[str], list[tuple[str, str]]]] = {
    "none can be asked": (
        ["openai:gpt-5-mini", "mistral:mistral-small-latest"],
        [("ORC422", "error"), ("ORC422", "error")],
    ),
    "the last can be asked": (["openai:gpt-5-mini", "ollama:llama3.2"], [("ORC422", "warning")]),
    "the first can be asked": (["ollama:qwen3", "openai:gpt-5-mini"], [("ORC422", "warning")]),
    "one is no model": (["ollama:qwen3", "opnai:gpt-5-mini"], [("ORC421", "error")]),
    "all can be asked": (["ollama:qwen3", "ollama:llama3.2"], []),
    "`auto` is the model of the Ollama": (["auto"], []),
}


@pytest.mark.parametrize("case", LISTS)
def test_of_a_list_what_another_makes_up_for_is_a_warning(case: str) -> None:
    names, expected = LISTS[case]
    found = codes({"steps": [{"id": "a", "prompt": "x", "model": names}]})
    assert [(code, severity) for code, severity, _ in found] == expected


def test_where_others_answer_for_models_neither_keys_nor_packages_are_asked_for() -> None:
    pipeline = {"steps": [{"id": "a", "prompt": "x", "model": ["openai:gpt-5-mini", "transformers:./weights"]}]}
    assert {code for code, *_ in codes(pipeline)} >= {"ORC422"}
    assert codes(pipeline, live_models=False) == []
    pipeline["steps"][0]["model"] = ["opnai:x"]
    assert [code for code, *_ in codes(pipeline, live_models=False)] == ["ORC421"]


def test_a_price_that_is_not_known_matters_only_under_a_budget_in_usd(nothing_at_hand: Path) -> None:
    step = {"id": "a", "prompt": "x", "model": "azure:ours"}
    assert codes({"steps": [step]}, live_models=False) == []
    assert codes({"budget": {"tokens": 10}, "steps": [step]}, live_models=False) == []
    around = {"id": "g", "steps": [step], "budget": 1}
    for source in ({"budget": 2, "steps": [step]}, {"steps": [around]}, {"steps": [{**step, "budget": 0.5}]}):
        assert [code for code, *_ in codes(source, live_models=False)] == ["ORC425"]
    prices = '[models."azure:ours"]\ninput_price = 1.0\noutput_price = 2.0\n'
    nothing_at_hand.joinpath("orchestrator.toml").write_text(prices)
    assert codes({"budget": 2, "steps": [step]}, live_models=False) == []


def test_budgets_are_in_the_plan_where_they_are_written() -> None:
    step = {"id": "a", "prompt": "x", "budget": 0.5}
    loop = {"id": "b", "for_each": [1], "prompt": "x", "budget": {"tokens": 5, "requests": 6}}
    plan = plan_of({"budget": {"usd": 2, "requests": 9}, "steps": [step, loop, {"id": "c", "sleep": 1, "budget": 0}]})
    assert plan.budget == Budget(usd=2, requests=9)
    assert [each.budget for each in plan.steps] == [Budget(usd=0.5), Budget(tokens=5, requests=6), Budget(usd=0)]
    work = plan.steps[1].work
    assert isinstance(work, ForEach)
    assert isinstance(work.body, StepPlan)
    assert work.body.budget is None


FORM = {"title": "string", "score": "number", "tags": ["string"]}


@pytest.mark.parametrize("around", [None, "for_each", "steps", "later"])
def test_the_fields_of_a_structured_answer_are_known(around: str | None) -> None:
    ask = {"id": "idea", "prompt": "x", "model": "auto", "schema": FORM}
    read = {"id": "use", "tool": "log", "parameters": {"message": "{{ idea.title }} {{ idea.score + 1 }} {{ idea }}"}}
    steps = [ask, read] if around != "later" else [read, ask]
    whole = [{"id": "outer", "steps": steps, **({"for_each": [1]} if around == "for_each" else {})}]
    source = {"steps": whole if around in ("for_each", "steps") else steps}
    assert compiled(source).diagnostics == ()
    read["parameters"] = {"message": "{{ idea.titel }} {{ idea.tags.first }} {{ idea.score.high }}"}
    found = compiled(source).diagnostics
    assert [d.code for d in found] == ["ORC303"] * 3
    assert found[0].help == "did you mean `title`?"


def test_nothing_is_known_of_an_answer_whose_form_is_a_template() -> None:
    ask = {"id": "idea", "action": "generate", "prompt": "x", "schema": {"title": "{{ kind }}"}}
    read = {"id": "use", "tool": "log", "parameters": {"message": "{{ idea.titel }}"}}
    assert compiled({"inputs": {"kind": "string"}, "steps": [ask, read]}).diagnostics == ()


def check_of(check: Any, **file: Any) -> Check:
    found = step_of({"prompt": "x", "schema": FORM, "check": check}, **file).check
    assert found is not None
    return found


def test_a_check_is_written_short_or_long() -> None:
    one = check_of("output.score > 0.5")
    assert [condition.text for condition in one.conditions] == ["output.score > 0.5"]
    assert one.max_attempts == 2
    many = check_of(
        {
            "that": ["output.title", "{{ output.tags | length > 1 }}"],
            "schema": {"title": "string"},
            "judge": {"rubric": "It is about {{ topic }}.", "min_score": 0.9},
            "max_attempts": 3,
        },
        inputs={"topic": "x"},
    )
    assert (len(many.conditions), many.max_attempts) == (2, 3)
    assert many.schema is not None
    assert many.schema["properties"]["title"] == {"type": "string"}
    assert many.judge is not None
    assert source_of(many.judge.rubric) == "It is about {{ topic }}."
    assert many.judge.min_score == 0.9


JUDGES: dict[str, tuple[dict[str, Any], Any, Any, Any]] = {
    # what: the file, the step's model, the judge's own, the one that judges
    "nothing": ({}, None, None, "auto"),
    "the step's": ({}, "ollama:llama3.2", None, "ollama:llama3.2"),
    "the file's for steps": ({"model": "ollama:llama3.2"}, None, None, "ollama:llama3.2"),
    "the file's for judges": ({"model": "auto", "judge_model": "ollama:llama3.2"}, "auto", None, "ollama:llama3.2"),
    "its own": ({"model": "auto", "judge_model": "auto"}, None, "ollama:llama3.2", "ollama:llama3.2"),
    "its own by a template": ({}, None, "{{ m }}", "{{ m }}"),
}


@pytest.mark.parametrize("case", JUDGES)
def test_a_judge_is_the_one_that_is_named_nearest(case: str) -> None:
    file, model, own, expected = JUDGES[case]
    step = {"prompt": "x", "check": {"judge": {"rubric": "y", **({"model": own} if own else {})}}}
    if model:
        step["model"] = model
    check = step_of(step, inputs={"m": "ollama:llama3.2"}, outputs={"m": "{{ m }}"}, **file).check
    assert check is not None
    assert check.judge is not None
    assert source_of(check.judge.model) == expected


def test_a_judge_of_any_work_is_the_files_model() -> None:
    check = step_of(
        {"tool": "log", "parameters": {"message": "x"}, "check": {"judge": "y"}}, model="ollama:llama3.2"
    ).check
    assert check is not None
    assert check.judge is not None
    assert source_of(check.judge.model) == "ollama:llama3.2"


OUTPUTS: dict[str, tuple[dict[str, Any], str]] = {
    "a tool": ({"tool": "log", "parameters": {"message": "x"}}, "output.x"),
    "an answer": ({"prompt": "x"}, "output.x"),
    "a structured answer": ({"prompt": "x", "schema": FORM}, "output.titel"),
    "an item": ({"for_each": [1], "prompt": "x", "schema": FORM}, "output.titel"),
    "a loop": ({"for_each": [1], "steps": [{"id": "b", "prompt": "x"}]}, "output.x"),
    "a group": ({"steps": [{"id": "b", "prompt": "x", "schema": FORM}]}, "output.titel"),
    "a question": ({"ask": "How many?"}, "output.x"),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_output_has_the_type_of_what_is_checked(case: str) -> None:
    step, wrong = OUTPUTS[case]
    assert compiled({"steps": [{"id": "a", **step, "check": "output"}]}).ok
    found = compiled({"steps": [{"id": "a", **step, "check": wrong}]}).diagnostics
    assert [d.code for d in found] == ["ORC303"], render_text(found)


def test_a_check_sees_what_the_step_sees_and_waits_for_what_it_reads() -> None:
    first = {"id": "first", "tool": "log", "parameters": {"message": "x"}}
    item = {"id": "each", "for_each": [1], "as": "row", "prompt": "x", "check": "output != row ~ first ~ topic"}
    plan = plan_of({"inputs": {"topic": "x"}, "steps": [first, item]})
    loop = plan.steps[1]
    assert loop.dependencies == ("first",)
    assert loop.check is None
    assert isinstance(loop.work, ForEach)
    assert isinstance(loop.work.body, StepPlan)
    assert loop.work.body.check is not None


def test_output_is_known_in_a_check_only_and_the_step_itself_is_not() -> None:
    step = {"id": "a", "prompt": "x", "check": "a.text and output"}
    [own] = compiled({"steps": [step]}).diagnostics
    assert (own.code, own.help) == ("ORC304", "in `check`, write `output` instead of `a`")
    reads = [{"id": "a", "prompt": "x", "check": "output"}, {"id": "b", "prompt": "{{ output }}"}]
    [elsewhere] = compiled({"steps": reads}).diagnostics
    assert elsewhere.code == "ORC301"
    assert "known only inside it" in (elsewhere.help or "")
    assert compiled({"inputs": {"output": "x"}, "steps": [{"id": "b", "prompt": "{{ output }}", "check": "output"}]}).ok
