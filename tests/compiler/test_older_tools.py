"""Tools and actions of the older dialect: each name of the table is a step that works, with its older fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

import orchestrator as orc
from orchestrator.language.aliases.older_call import STEP_KINDS, OlderCall
from orchestrator.language.aliases.older_tools import OLDER
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.pipeline import StepSpec
from orchestrator.language.spec.questions import ApproveSpec, AskSpec
from orchestrator.models.actions import model_tools
from orchestrator.plan.steps import Approve, Ask, SubPipeline, ToolCall
from orchestrator.testing import FakeModel
from orchestrator.tools import Permissions, builtin_registry

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = builtin_registry() | model_tools()
MEANINGS = [(name, meaning) for name, meanings in OLDER.items() for meaning in meanings]
KINDS: dict[str, tuple[set[str], set[str]]] = {
    # the keys of each kind of step, and the fields of its result
    "ask": ({*key_fields(AskSpec), "timeout"}, set()),
    "approve": ({*key_fields(ApproveSpec), "timeout"}, {"approved", "content", "comment"}),
    "pipeline": (set(key_fields(StepSpec)), set()),
}

EXAMPLES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    # the step, what it means, and the older fields that can be read, with what they read
    "summarize": (
        "action: summarize, parameters: {text: A long text., max_length: 90}",
        {"call": "model.summarize", "text": "A long text."},
        {},
    ),
    "classify": (
        "action: classify, parameters: {text: A text., categories: [news, other]}",
        {"call": "model.classify", "text": "A text.", "labels": ["news", "other"]},
        {},
    ),
    "generate-text": (
        "action: generate-text, parameters: {prompt: hi, max_completion_tokens: 90}",
        {"call": "model.generate_text", "prompt": "hi", "max_tokens": 90},
        {"content": "text", "model_used": "model", "result": ""},
    ),
    "llm_call": ("action: llm_call, prompt: hi", {"call": "model.generate_text", "prompt": "hi"}, {"response": "text"}),
    "llm_generate": (
        "tool: llm-generate, action: generate, parameters: {prompt: hi, system_prompt: Be brief}",
        {"call": "model.generate_text", "prompt": "hi", "system": "Be brief"},
        {"generated_text": "text"},
    ),
    "analyze_text with a prompt": (
        'action: analyze_text, parameters: {prompt: "Which risks are there?"}',
        {"call": "model.generate_text", "prompt": "Which risks are there?"},
        {"analysis": "text"},
    ),
    "analyze_text with a prompt and a text": (
        'action: analyze_text, parameters: {prompt: "Which risks?", text: "A contract."}',
        {"call": "model.analyze_text", "instruction": "Which risks?", "text": "A contract."},
        {"content": "analysis"},
    ),
    "web-search": (
        "tool: web-search, action: search, parameters: {query: tides, num_results: 5, time_range: week}",
        {"call": "web.search", "query": "tides", "max_results": 5, "since": "week"},
        {"total_results": "count", "search_results": "results", "result": ""},
    ),
    "headless-browser": (
        "tool: headless-browser, action: search, parameters: {query: tides, search_engine: duckduckgo}",
        {"call": "web.search", "query": "tides"},
        {"total_results": "count"},
    ),
    "headless-browser scrape": (
        "tool: headless-browser, action: scrape, parameters: {url: 'https://example.org', extract_text: true}",
        {"call": "web.read", "url": "https://example.org"},
        {"text": "content", "title": "title"},
    ),
    "headless-browser screenshot": (
        "tool: headless-browser, action: screenshot, parameters: {url: 'https://example.org', output_path: a.png}",
        {"call": "browser.screenshot", "url": "https://example.org", "path": "a.png"},
        {"filepath": "path", "screenshot_path": "path"},
    ),
    "headless-browser verify": (
        "tool: headless-browser, action: verify, parameters: {url: 'https://example.org'}",
        {"call": "http.request", "url": "https://example.org", "method": "HEAD", "check": False},
        {"http_status": "status_code"},
    ),
    "debug": ("action: debug, parameters: {message: hi}", {"call": "log.write", "message": "hi"}, {"message": ""}),
    "data-processing": (
        "tool: data-processing, action: filter, parameters: {data: rows.csv, condition: n > 1}",
        {"call": "data.filter", "rows": "rows.csv", "where": "n > 1"},
        {"processed_data": "rows", "total": "count", "result": ""},
    ),
    "data-processing convert": (
        "tool: data-processing, action: convert, parameters: {input_path: rows.csv, output_path: rows.json, "
        "input_format: csv, output_format: json}",
        {"call": "data.write", "rows": "rows.csv", "path": "rows.json", "format": "json"},
        {"filepath": "path"},
    ),
    "data-processing convert a text": (
        "tool: data-processing, action: convert, parameters: {data: 'n,m', input_format: csv, output_format: json}",
        {"call": "data.convert", "data": "n,m", "format": "csv", "to": "json"},
        {"processed_data": "rows", "result": "rows"},
    ),
    "data-processing convert rows": (
        "tool: data-processing, action: convert, parameters: {data: [{n: 1}], format: csv}",
        {"call": "data.convert", "data": [{"n": 1}], "to": "csv"},
        {"processed_data": "text"},
    ),
    "generate-structured": (
        "action: generate-structured, parameters: {prompt: hi, output_schema: {title: string}}",
        {"call": "model.generate", "prompt": "hi"},
        {"content": "data"},
    ),
    "validation": (
        "tool: validation, action: validate, parameters: {data: {n: 1}, schema: {type: object}}",
        {"call": "json.validate", "data": {"n": 1}, "schema": {"type": "object"}, "check": False},
        {"is_valid": "valid", "success": "valid", "validation_errors": "errors"},
    ),
    "python-executor": (
        'tool: python-executor, action: execute, parameters: {code: "print(1)"}',
        {"call": "python.execute", "code": "print(1)"},
        {"output": "stdout"},
    ),
    "terminal": (
        "tool: terminal, action: execute_command, parameters: {command: [ls], working_dir: ., capture_output: true}",
        {"call": "terminal.execute", "command": ["ls"], "cwd": ".", "check": False},
        {"return_code": "exit_code", "execution_time": "duration"},
    ),
    "!command": (
        'action: "! ls -l", parameters: {timeout: 5}',
        {"call": "terminal.execute", "command": "ls -l", "timeout": 5, "check": False},
        {"return_code": "exit_code"},
    ),
    "filesystem": (
        "tool: filesystem, action: write_file, parameters: {file_path: out.txt, data: hi, create_dirs: true}",
        {"call": "filesystem.write", "path": "out.txt", "content": "hi"},
        {"filepath": "path", "file_size": "size"},
    ),
    "pipeline-executor": (
        "tool: pipeline-executor, action: execute, parameters: {pipeline: part.yaml, inputs: {topic: wind}, "
        "wait_for_completion: true, output_mapping: {found: text}}",
        {"call": "pipeline", "inputs": {"topic": "wind"}},
        {"found": "text"},
    ),
    "pipeline-executor, by output": (
        'tool: pipeline-executor, parameters: {pipeline: part.yaml, output_mapping: {text: "outputs.found"}}',
        {"call": "pipeline", "inputs": {}},
        {"found": "text"},
    ),
    "user-prompt": (
        "tool: user-prompt, action: prompt, parameters: {prompt: Which?, input_type: choice, choices: [a, b], "
        "timeout: 60, default: a}",
        {"call": "ask", "prompt": "Which?", "choices": ["a", "b"], "timeout": 60.0},
        {"value": "", "response": ""},
    ),
    "approval-gate": (
        "tool: approval-gate, action: request, parameters: {message: Publish?, content: A text, "
        "allow_modifications: true}",
        {"call": "approve", "title": "Publish?", "content": "A text", "editable": True},
        {"approved": "approved", "reason": "comment", "modified_content": "content"},
    ),
    "feedback-collection": (
        "tool: feedback-collection, parameters: {question: Was it good?}",
        {"call": "ask", "prompt": "Was it good?"},
        {"response": ""},
    ),
    "report-generator, HTML": (
        'tool: report-generator, action: generate, parameters: {content: "# A", format: html, output_path: a.html}',
        {"call": "report.html", "markdown": "# A", "path": "a.html"},
        {"filepath": "path", "report": "html"},
    ),
    "report-generator, PDF": (
        'tool: report-generator, action: generate, parameters: {content: "# A", format: pdf, output_path: a.pdf}',
        {"call": "report.pdf", "markdown": "# A", "path": "a.pdf"},
        {"filepath": "path", "file_size": "size"},
    ),
    "report-generator, Word": (
        'tool: report-generator, action: generate, parameters: {content: "# A", format: docx, output_path: a.docx}',
        {"call": "report.docx", "markdown": "# A", "path": "a.docx"},
        {"filepath": "path", "file_size": "size"},
    ),
    "pdf-compiler": (
        'tool: pdf-compiler, action: generate, parameters: {markdown_content: "# A", output_path: a.pdf, title: A, '
        "author: Ada, install_if_missing: false}",
        {"call": "report.pdf", "markdown": "# A", "path": "a.pdf", "title": "A", "author": "Ada"},
        {"output_path": "path", "pdf_path": "path", "page_count": "pages"},
    ),
    "visualization": (
        "tool: visualization, action: create_charts, parameters: {data: rows.csv, chart_types: [bar, histogram], "
        "output_dir: charts, title: A, theme: default}",
        {"call": "chart.overview", "rows": "rows.csv", "kinds": ["bar", "histogram"], "directory": "charts"},
        {"charts": "charts", "files": "charts", "total_charts": "count", "result": ""},
    ),
    "visualization, one chart": (
        "tool: visualization, action: create_chart, parameters: {data: rows.csv, chart_type: bar, x_column: n, "
        "y_column: m, output_path: a.png}",
        {"call": "chart.draw", "rows": "rows.csv", "kind": "bar", "x": "n", "y": "m", "path": "a.png"},
        {"chart_path": "path", "filepath": "path", "result": ""},
    ),
    "report-generator, a file": (
        'tool: report-generator, action: generate, parameters: {content: "# A", output_file: a.md}',
        {"call": "filesystem.write", "content": "# A", "path": "a.md"},
        {"filepath": "path"},
    ),
    "report-generator, a text": (
        'tool: report-generator, action: generate, parameters: {content: "# A", format: markdown}',
        {"call": "text.template", "template": "# A"},
        {"report": ""},
    ),
    "image-analysis": (
        "tool: image-analysis, action: analyze, parameters: {image: a.png, analysis_type: describe}",
        {"call": "model.generate_text", "images": "a.png", "prompt": "Describe the image."},
        {"description": "text"},
    ),
    "audio-processing": (
        "tool: audio-processing, action: transcribe, parameters: {audio_file: a.mp3}",
        {"call": "audio.transcribe", "file": "a.mp3"},
        {"transcript": "text"},
    ),
    "audio-processing, speech": (
        "tool: audio-processing, action: text_to_speech, parameters: {text: Hello, output_file: a.mp3, voice: coral}",
        {"call": "audio.speak", "text": "Hello", "path": "a.mp3", "voice": "coral"},
        {"audio_path": "path"},
    ),
    "image-generation": (
        "tool: image-generation, action: generate, parameters: {description: A boat, num_images: 2, size: 1024x1024}",
        {"call": "image.generate", "prompt": "A boat", "count": 2, "size": "1024x1024"},
        {"image_path": "path", "images": "files"},
    ),
    "image-generation, a change": (
        "tool: image-generation, action: edit, parameters: {image_path: a.png, prompt: At night, output_path: b.png}",
        {"call": "image.edit", "image": "a.png", "prompt": "At night", "path": "b.png"},
        {"revised_prompt": "text"},
    ),
    "video-processing": (
        "tool: video-processing, action: analyze, parameters: {video_path: a.mp4}",
        {"call": "model.generate_text", "files": "a.mp4"},
        {"analysis": "text"},
    ),
    "mcp-server": (
        "tool: mcp-server, action: execute_tool, parameters: {server_name: notes, tool_name: find, "
        "tool_params: {word: wind}}",
        {"call": "mcp.call", "server": "notes", "tool": "find", "arguments": {"word": "wind"}},
        {"content": "text"},
    ),
    "mcp-memory to store": (
        "tool: mcp-memory, action: store, parameters: {namespace: talk, key: user, value: {name: Ada}, ttl: 3600}",
        {"call": "memory.set", "namespace": "talk", "key": "user", "value": {"name": "Ada"}, "ttl": 3600},
        {"stored_key": "key"},
    ),
    "mcp-memory to store for good": (
        "tool: mcp-memory, action: store, parameters: {key: user, data: Ada, ttl: 0}",
        {"call": "memory.set", "key": "user", "value": "Ada"},
        {},
    ),
    "mcp-memory to retrieve": (
        "tool: mcp-memory, action: retrieve, parameters: {namespace: talk, key: user}",
        {"call": "memory.get", "namespace": "talk", "key": "user"},
        {"result": "value", "success": "found"},
    ),
    "mcp-memory to list": (
        "tool: mcp-memory, action: list, parameters: {namespace: talk}",
        {"call": "memory.list", "namespace": "talk"},
        {"items": "keys", "total": "count"},
    ),
    "mcp-memory to search": (
        "tool: mcp-memory, action: search, parameters: {search_query: Ada, max_results: 3}",
        {"call": "memory.search", "query": "Ada", "limit": 3},
        {"matches": "results"},
    ),
    "mcp-memory to delete": (
        "tool: mcp-memory, action: delete, parameters: {key: user}",
        {"call": "memory.delete", "key": "user"},
        {"success": "deleted"},
    ),
    "mcp-memory to clear": (
        "tool: mcp-memory, action: clear",
        {"call": "memory.clear", "namespace": "default"},
        {"cleared": "count"},
    ),
    "mcp-memory with its action as a parameter": (
        "tool: mcp-memory, action: execute, parameters: {action: store, key: user, value: Ada}",
        {"call": "memory.set", "key": "user", "value": "Ada"},
        {"memory_key": "key"},
    ),
    "task-delegation": (
        "tool: task-delegation, action: delegate, parameters: {task: Summarize it}",
        {"call": "model.generate_text", "prompt": "Summarize it"},
        {"selected_model": "model", "reason": "why"},
    ),
    "multi-model-routing": (
        "tool: multi-model-routing, action: route, parameters: {request: hi, strategy: cost, models: "
        "[openai:gpt-5-mini, mistral:mistral-small-latest]}",
        {
            "call": "model.generate_text",
            "prompt": "hi",
            "selection": "cost",
            "model": ["openai:gpt-5-mini", "mistral:mistral-small-latest"],
        },
        {"selected_model": "model", "response": "text"},
    ),
    "prompt-optimization": (
        "tool: prompt-optimization, action: optimize, parameters: {prompt: Write a poem}",
        {"call": "model.generate_text", "prompt": "Write a poem"},
        {"optimized_prompt": "text"},
    ),
}

ANY_VALUE = ("python-executor", "headless-browser verify", "mcp-memory to retrieve")
"""Their values can have any field."""

PART = 'inputs: {topic: solar}\nsteps:\n  - {id: a, value: "{{ topic }}"}\noutputs: {text: "{{ a }}"}\n'


@pytest.fixture
def client(tmp_path: Path) -> orc.Orchestrator:
    (tmp_path / "part.yaml").write_text(PART)
    (tmp_path / "rows.csv").write_text("n\n1\n2\n")
    (tmp_path / "orchestrator.toml").write_text('[mcp.notes]\ncommand = ["notes"]\n')
    for name in ("a.png", "a.mp3", "a.mp4"):
        (tmp_path / name).write_bytes(b"x")
    return orc.Orchestrator(
        store=f"sqlite:///{tmp_path}/runs.db",
        directory=tmp_path,
        models=FakeModel(),
        permissions=Permissions(tmp_path, allow_run=True),
    )


def fields_of(meaning: OlderCall) -> set[str]:
    """The fields of the result of what is meant; a result that is no object has none."""
    tool, _, action = meaning.meaning.partition(".")
    found = REGISTRY.get(tool)
    assert found is not None
    returns = found.actions[action].returns
    return set(returns.properties) if returns.kind == "object" else set()


@pytest.mark.parametrize(("name", "meaning"), MEANINGS)
def test_every_older_name_has_an_equivalent_here(name: str, meaning: OlderCall) -> None:
    if meaning.meaning in STEP_KINDS:
        known, fields = KINDS[meaning.meaning]
    else:
        tool, _, action = meaning.meaning.partition(".")
        found = REGISTRY.get(tool)
        assert found is not None
        known, fields = set(found.actions[action].parameters), fields_of(meaning)
    consumed = {*meaning.when, *meaning.ignored, *meaning.headings, *meaning.told, *meaning.without_effect}
    assert {*meaning.parameters.values(), *meaning.constants} <= known | consumed
    assert set(meaning.results.values()) <= {*fields, ""}


def test_every_older_name_has_an_example() -> None:
    """Or is another spelling of one that has."""
    shown = {key.replace("-", "_").split()[0].rstrip(",") for key in EXAMPLES}
    meant = {meaning.meaning for name in OLDER.keys() & shown for meaning in OLDER[name]}
    assert [name for name in OLDER.keys() - shown if not any(one.meaning in meant for one in OLDER[name])] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_step_with_an_older_name_is_planned_as_what_it_means(name: str, client: orc.Orchestrator) -> None:
    step, meant, _ = EXAMPLES[name]
    pipeline = client.compile(f"steps:\n  - {{id: a, {step}}}\n")
    (planned,) = pipeline.plan.steps
    match planned.work:
        case ToolCall(tool, action, parameters):
            found: dict[str, Any] = {"call": f"{tool.name}.{action.name}", **parameters.evaluate({})}
        case Ask(prompt, answer):
            found = {"call": "ask", "prompt": prompt.evaluate({}), "choices": answer.enum, "timeout": planned.timeout}
        case Approve(title, content, editable):
            found = {"call": "approve", "title": title.evaluate({}), "content": content.evaluate({})}
            found["editable"] = editable
        case SubPipeline(_, inputs):
            found = {"call": "pipeline", "inputs": inputs.evaluate({})}
        case other:
            raise AssertionError(other)
    assert found | meant == found


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_result_has_the_older_fields_and_only_these(name: str, client: orc.Orchestrator) -> None:
    step, _, fields = EXAMPLES[name]
    text = f"steps:\n  - {{id: a, {step}}}\n  - {{id: b, value: {{}}}}\n"
    reads = {field: f"{{{{ a.{field} }}}}" for field in fields}
    assert not client.check(
        text.replace("value: {}", f"value: {yaml.safe_dump(reads, default_flow_style=True).strip()}")
    ).diagnostics
    wrong = client.check(text.replace("value: {}", 'value: "{{ a.nothing_like_it }}"')).diagnostics
    assert [each.code for each in wrong] == ([] if name in ANY_VALUE else ["ORC303"])
    planned = client.compile(text.replace("value: {}", "value: 1")).plan.steps[0]
    names = {"result": "", **{field: field for field in fields if field != "result"}, **planned.result_names}
    assert {older: names[older] for older in fields} == fields


def test_older_fields_of_a_step_with_the_name_here_are_those_of_the_dialect(client: orc.Orchestrator) -> None:
    text = """
steps:
  - {id: a, tool: terminal, action: ACTION, parameters: {command: [ls]}}
  - {id: b, value: "{{ a.return_code }}"}
"""
    assert not client.check(text.replace("ACTION", "execute_command")).diagnostics
    assert not client.check(text.replace("ACTION", "execute")).diagnostics
    (wrong,) = client.check(text.replace("ACTION", "execute").replace("return_code", "returned")).diagnostics
    assert wrong.code == "ORC303"


def test_an_action_of_both_keeps_its_own_parameters_and_fields(client: orc.Orchestrator) -> None:
    step = "action: analyze_text, parameters: {text: A contract., instruction: Which risks?}"
    (planned,) = client.compile(f"steps:\n  - {{id: a, {step}}}\n").plan.steps
    assert isinstance(planned.work, ToolCall)
    assert planned.work.action.name == "analyze_text"
    assert not planned.result_names


TOLD = {
    # a step, and the parameters that its words and further parameters become
    "tool: report-generator, parameters: {title: Tides, content: They rise., output_path: a.md}": {
        "content": "# Tides\n\nThey rise.",
        "path": "a.md",
    },
    "tool: report-generator, parameters: {title: Tides, sections: [{title: High, content: '6 m'}, {heading: Low}]}": {
        "template": "# Tides\n\n## High\n\n6 m\n\n## Low"
    },
    "tool: report-generator, parameters: {title: Tides, format: html, sections: {High: 6 m, Low: 1 m}}": {
        "title": "Tides",
        "markdown": "## High\n\n6 m\n\n## Low\n\n1 m",
    },
    "tool: user-prompt, parameters: {prompt: Which?, context: A choice of harbours.}": {
        "prompt": "Which?\n\nContext: A choice of harbours."
    },
    "tool: image-analysis, parameters: {image: a.png, analysis_type: detect_objects}": {
        "prompt": "List the objects in the image, each with its place."
    },
    "tool: image-analysis, parameters: {image: a.png, analysis_type: mood}": {
        "prompt": "Describe the image.\n\nAnalysis type: mood"
    },
    "tool: image-generation, parameters: {prompt: A boat, style: watercolour}": {
        "prompt": "A boat\n\nStyle: watercolour"
    },
    "tool: multi-model-routing, parameters: {request: hi, strategy: cost_optimized}": {"selection": "cost"},
    "tool: task-delegation, parameters: {task: {description: Sum it up, requirements: [fast, cheap]}}": {
        "prompt": "description: Sum it up\nrequirements: fast, cheap"
    },
    "tool: validation, parameters: {data: 1, schema: true, mode: STRICT}": {"check": True},
    "tool: validation, parameters: {data: 1, schema: true, strict: false}": {"check": False},
    "tool: terminal, action: execute, parameters: {command: [ls], working_dir: .}": {"cwd": "."},
    "action: Sum up the text, parameters: {text: The sea rises., temperature: 0.5}": {
        "prompt": "Sum up the text\n\nText: The sea rises.",
        "temperature": 0.5,
    },
}


@pytest.mark.parametrize("step", TOLD)
def test_words_and_further_parameters_reach_the_model(step: str, client: orc.Orchestrator) -> None:
    (planned,) = client.compile(f"prose_actions: true\nsteps:\n  - {{id: a, {step}}}\n").plan.steps
    if isinstance(planned.work, Ask):
        assert TOLD[step] == {"prompt": planned.work.prompt.evaluate({})}
    else:
        assert isinstance(planned.work, ToolCall)
        assert TOLD[step].items() <= planned.work.parameters.evaluate({}).items()


def test_what_has_no_effect_is_a_warning(client: orc.Orchestrator) -> None:
    step = "tool: approval-gate, parameters: {message: Publish?, require_reason: true}"
    (found,) = client.check(f"steps:\n  - {{id: a, {step}}}\n").diagnostics
    assert (found.severity, "can always write a comment" in found.message) == ("warning", True)


def test_an_action_without_an_equivalent_names_those_that_have_one(client: orc.Orchestrator) -> None:
    step = "tool: multi-model-routing, action: optimize_batch, parameters: {tasks: [a]}"
    (found,) = client.check(f"steps:\n  - {{id: a, {step}}}\n").diagnostics
    assert "`route`" in (found.help or "")


def test_the_canonical_names_are_reported_if_asked_for(client: orc.Orchestrator) -> None:
    text = """
steps:
  - {id: a, tool: terminal, action: execute_command, parameters: {cmd: [ls]}}
  - {id: b, tool: user-prompt, parameters: {question: Which?}}
  - {id: c, action: "!ls", dependencies: [b]}
"""
    assert not client.check(text).diagnostics
    found = [(each.message.split("`")[1], each.help) for each in client.check(text, canonical=True).diagnostics]
    assert found == [
        ("terminal execute_command", "write `action: terminal.execute`"),
        ("user-prompt", "write `ask:`"),
        ("!ls", "write `action: terminal.execute`"),
    ]


def test_the_types_of_older_fields_are_checked(client: orc.Orchestrator) -> None:
    text = 'steps:\n  - {id: a, action: "!ls"}\n  - {id: b, tool: sleep, parameters: {seconds: "{{ a.FIELD }}"}}\n'
    assert not client.check(text.replace("FIELD", "return_code")).diagnostics
    assert [each.code for each in client.check(text.replace("FIELD", "stdout")).diagnostics] == ["ORC405"]


def test_a_tool_of_the_project_keeps_its_name(tmp_path: Path) -> None:
    @orc.tool
    async def validation(data: Any) -> bool:
        """Validate it."""
        return bool(data)

    client = orc.Orchestrator(store=f"sqlite:///{tmp_path}/runs.db", directory=tmp_path, tools=[validation])
    (planned,) = client.compile("steps:\n  - {id: a, tool: validation, parameters: {data: 1}}\n").plan.steps
    assert isinstance(planned.work, ToolCall)
    assert planned.work.tool.name == "validation"


def test_an_action_in_plain_english_is_a_model_call_only_in_a_file_that_says_so(client: orc.Orchestrator) -> None:
    text = 'inputs: {topic: wind}\nsteps:\n  - {id: a, action: "Write a poem about {{ topic }}"}\n'
    (planned,) = client.compile(f"prose_actions: true\n{text}").plan.steps
    assert isinstance(planned.work, ToolCall)
    assert planned.work.describe() == "model generate_text"
    for before in ("", "prose_actions: false\n"):
        (wrong,) = (each for each in client.check(before + text).diagnostics if each.severity == "error")
        assert (wrong.code, "`prose_actions: true`" in (wrong.help or "")) == ("ORC401", True)


REFUSED = {
    # what is written: the code, and a part of the help that says what to write instead
    "tool: validation, parameters: {data: 1, schema: true, rules: [a]}": ("ORC403", "JSON Schema"),
    "tool: pipeline-executor, parameters: {pipeline: part.yaml, wait_for_completion: false}": (
        "ORC403",
        "detach: true",
    ),
    "tool: pipeline-executor, parameters: {pipeline: part.yaml, output_mapping: {found: texd}}": ("ORC303", "`text`"),
    "tool: pipeline-executor, parameters: {pipeline: {steps: [{id: a, tool: log}]}}": ("ORC202", "into a file"),
    "tool: video-processing, action: extract_frames, parameters: {video: a.mp4}": ("ORC401", "ffmpeg"),
    "tool: filesystem, action: create_directory, parameters: {path: out}": ("ORC402", "missing directories"),
    "tool: report-generator, parameters: {content: hi, sections: [a, b]}": ("ORC403", "`template`"),
    "tool: data-processing, action: aggregate, parameters: {data: rows.csv, values: {n: COUNT(*)}, metrics: [a]}": (
        "ORC403",
        "SUM(amount)",
    ),
    "tool: image-generation, parameters: {prompt: A boat, width: 512}": ("ORC403", "size: 1024x1024"),
    "tool: image-processing, parameters: {image: a.png}": ("ORC401", "tool: image"),
    "tool: visualization, action: create_dashboard, parameters: {data: []}": ("ORC401", "tool: chart"),
    "tool: mcp-memory, action: store, parameters: {key: a, value: 1, tags: [x]}": ("ORC403", "part of the value"),
    "tool: mcp-memory, action: merge, parameters: {key: a}": ("ORC401", "`tool: memory`"),
    "tool: redis, action: recall, parameters: {key: a}": ("ORC401", "`tool: memory`"),
    "tool: mcp-server, action: connect, parameters: {server_name: a}": ("ORC427", "[mcp.a]"),
}


@pytest.mark.parametrize("step", REFUSED)
def test_what_has_no_equivalent_is_refused_with_what_to_write(step: str, client: orc.Orchestrator) -> None:
    code, help = REFUSED[step]
    (found,) = client.check(f"steps:\n  - {{id: a, {step}}}\n").diagnostics
    assert found.code == code
    assert help in (found.help or "")


def test_a_tool_that_does_not_exist_is_refused_once(client: orc.Orchestrator) -> None:
    steps = "".join(f"  - {{id: s{n}, tool: image-processing, parameters: {{prompt: A boat}}}}\n" for n in range(3))
    (found,) = client.check(
        f"steps:\n{steps}  - {{id: shown, tool: log, parameters: {{message: '{{{{ s1.path }}}}'}}}}\n"
    ).diagnostics
    assert [place.span.start.line for place in found.related] == [3, 4]
