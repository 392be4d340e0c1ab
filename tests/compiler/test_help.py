"""Help that is followed leads to a pipeline without errors: each case does what its help says, and checks again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.diagnostics import render_text
from orchestrator.testing import FakeModel
from orchestrator.tools import Permissions


@dataclass(frozen=True)
class Case:
    """A pipeline with one mistake. `follow` are pieces of it with what the help says to write in their place.

    What is written must stand in the help line, unless it is listed in `around`: the rest of an edit that the help
    describes in words.
    """

    source: str
    code: str
    follow: dict[str, str]
    around: dict[str, str] = field(default_factory=dict)


def log(message: str, before: str = "", key: str = "") -> str:
    return f"{before}steps:\n  - id: show\n    tool: log\n    parameters: {{message: {message}}}\n{key}"


INPUTS = "parameters:\n  topic: {type: string, default: x}\n"
FETCH = "steps:\n  - {id: fetch, tool: filesystem, action: list, parameters: {path: .}}\n"
ASKED = (
    "steps:\n  - {id: made, action: generate, prompt: hi, schema: {title: string, words: [string], size: integer}}\n"
)


def after(first: str, message: str) -> str:
    return f"{first}  - {{id: show, tool: log, parameters: {{message: {message}}}}}\n"


def in_loop(head: str, message: str) -> str:
    step = f"      - {{id: show, tool: log, parameters: {{message: {message}}}}}\n"
    return f"steps:\n  - id: rounds\n    {head}\n    steps:\n{step}"


def called(tool: str, parameters: str) -> str:
    return f"steps:\n  - {{id: show, {tool}, parameters: {parameters}}}\n"


def asked(model: str) -> str:
    return f"steps:\n  - id: show\n    action: generate_text\n    prompt: hi\n    {model}\n"


COMMAND = (
    "steps:\n  - id: show\n    tool: terminal\n    parameters:\n      command: [\n        {}\n        {}\n      ]\n"
)
READ_FILE = "{id: text, tool: filesystem, action: read, parameters: {path: prompts/x.txt}}"
READ_NAMED = '{id: text, tool: filesystem, action: read, parameters: {path: "{{ name }}.txt"}}'

CASES = {
    # `<AUTO>` tags
    "words within the tag": Case(log("<AUTO a title>"), "ORC428", {"<AUTO a title>": "<AUTO>a title</AUTO>"}),
    "no end": Case(log("<AUTO>a title"), "ORC428", {"<AUTO>a title": "<AUTO>a title</AUTO>"}),
    "no question": Case(log("<AUTO>"), "ORC428", {"<AUTO>": "<AUTO>a title of five words</AUTO>"}),
    "no end in quotes": Case(log('"Dear <AUTO>a name"'), "ORC428", {"<AUTO>a name": "<AUTO>a name</AUTO>"}),
    "cut off at a comma": Case(
        log("<AUTO>a title, or two</AUTO>"),
        "ORC428",
        {"<AUTO>a title, or two</AUTO>": '"<AUTO>a title, or two</AUTO>"'},
    ),
    "cut off at a comment": Case(
        "steps:\n  - id: show\n    tool: log\n    parameters:\n      message: <AUTO>a # title</AUTO>\n",
        "ORC428",
        {"<AUTO>a # title</AUTO>": '"<AUTO>a # title</AUTO>"'},
    ),
    # names of other systems
    "params.x": Case(log('"{{ params.topic }}"', INPUTS), "ORC301", {"params.topic": "inputs.topic"}),
    "parameters": Case(log('"{{ parameters | to_json }}"', INPUTS), "ORC301", {"parameters |": "inputs |"}, {}),
    "parameters.x that nothing declares": Case(
        log('"{{ parameters.topic }}"'),
        "ORC301",
        {"parameters.topic": "inputs.topic"},
        {"steps:\n": "inputs:\n  topic: x\nsteps:\n"},
    ),
    "workflow.inputs.x": Case(
        log('"{{ workflow.inputs.topic }}"', INPUTS), "ORC301", {"workflow.inputs.topic": "inputs.topic"}
    ),
    "vars.x": Case(log('"{{ vars.n }}"', "variables: {n: 1}\n"), "ORC301", {"vars.n": "variables.n"}),
    "tasks.x": Case(after(FETCH, '"{{ tasks.fetch.status }}"'), "ORC301", {"tasks.fetch": "steps.fetch"}),
    "inputs.x of a step": Case(after(FETCH, '"{{ inputs.fetch.status }}"'), "ORC303", {"inputs.fetch": "steps.fetch"}),
    "steps.x of an input": Case(log('"{{ steps.topic }}"', INPUTS), "ORC302", {"steps.topic": "inputs.topic"}),
    "env.X": Case(
        log('"{{ env.HOME }}"'),
        "ORC301",
        {"env.HOME": "inputs.home"},
        {"steps:\n": "inputs:\n  home: {type: string, default_from_env: HOME}\nsteps:\n"},
    ),
    "env:X": Case(
        log('"{{ env:HOME }}"'),
        "ORC317",
        {"env:HOME": "inputs.home"},
        {"steps:\n": "inputs:\n  home: {type: string, default_from_env: HOME}\nsteps:\n"},
    ),
    # loops
    "loop.index in for_each": Case(
        in_loop("for_each: [1, 2]", '"{{ loop.index }}"'), "ORC301", {"loop.index": "index"}
    ),
    # whole results where a text is needed
    "a list of objects": Case(after(FETCH, '"{{ fetch }}"'), "ORC405", {"{{ fetch }}": "{{ fetch | to_json }}"}),
    "an object": Case(after(ASKED, '"{{ made }}"'), "ORC405", {"{{ made }}": "{{ made.title }}"}),
    "an object as JSON": Case(after(ASKED, '"{{ made }}"'), "ORC405", {"{{ made }}": "{{ made | to_json }}"}),
    "a list of texts": Case(
        after(ASKED, '"{{ made.words }}"'), "ORC405", {"{{ made.words }}": "{{ made.words | join(', ') }}"}
    ),
    "an object for a number": Case(
        ASKED + '  - {id: rest, tool: sleep, parameters: {seconds: "{{ made }}"}}\n',
        "ORC405",
        {"{{ made }}": "{{ made.size }}"},
    ),
    "a text for a number": Case(
        ASKED + '  - {id: rest, tool: sleep, parameters: {seconds: "{{ made.title }}"}}\n',
        "ORC405",
        {"{{ made.title }}": "{{ made.title | float }}"},
    ),
    # filters on values of another kind
    "from_json on an object": Case(
        after(ASKED, '"{{ (made | from_json).title }}"'), "ORC316", {}, {"(made | from_json).title": "made.title"}
    ),
    "abs on an object": Case(
        after(ASKED, '"{{ made | abs }}"'), "ORC316", {"made |": "made.size"}, {"made.size abs": "made.size | abs"}
    ),
    "round on a text": Case(after(ASKED, '"{{ made.title | round }}"'), "ORC316", {"| round": "| float | round"}),
    "items of a text": Case(
        after(ASKED, '"{{ made.title.items() | to_json }}"'),
        "ORC316",
        {},
        {"made.title.items()": "(made.title | from_json).items()"},
    ),
    # outcomes of failures
    "a sentence for on_failure": Case(
        log("hi", key='    on_failure: "Use cached data"\n'),
        "ORC306",
        {'on_failure: "Use cached data"': "on_failure: continue"},
    ),
    "a misspelt outcome": Case(log("hi", key="    on_error: contineu\n"), "ORC306", {"contineu": "continue"}),
    # brackets
    "a comma that is missing": Case(
        COMMAND.format('"echo"', '"a"'),
        "ORC101",
        {},
        {'"echo"\n': '"echo",\n'},
    ),
    "an item with a colon": Case(
        COMMAND.format("echo,", "a: b: c"),
        "ORC101",
        {"a: b: c": '"a: b: c"'},
    ),
    "text behind a quote": Case(
        COMMAND.format("echo,", '"a" b'),
        "ORC101",
        {'"a" b': "'\"a\" b'"},
    ),
    # files and addresses within braces
    "file: with a name in it": Case(
        log('"{{ file:{{ name }}.txt }}"', "inputs: {name: x}\n"),
        "ORC317",
        {"{{ file:{{ name }}.txt }}": "{{ text }}", "steps:\n": READ_NAMED},
        {READ_NAMED: f"steps:\n  - {READ_NAMED}\n"},
    ),
    "include": Case(
        log("\"{% include 'prompts/x.txt' %}\""),
        "ORC317",
        {"{% include 'prompts/x.txt' %}": "{{ text }}", "steps:\n": READ_FILE},
        {READ_FILE: f"steps:\n  - {READ_FILE}\n"},
    ),
    # tools of other systems
    "python-script": Case(called("tool: python-script", "{code: 'result = 1'}"), "ORC401", {"python-script": "python"}),
    "code_runner with an action": Case(
        called("tool: code_runner, action: run", "{code: 'result = 1'}"),
        "ORC401",
        {"tool: code_runner": "tool: python", "action: run": "action: execute"},
    ),
    "bash": Case(called("tool: bash", "{command: [ls]}"), "ORC401", {"bash": "terminal"}),
    "fetch": Case(
        called("tool: fetch", "{url: 'https://example.com'}"),
        "ORC401",
        {"tool: fetch": "tool: http`, `action: get"},
        {"`, `": ", "},
    ),
    "web-scraper": Case(
        called("tool: web-scraper", "{url: 'https://example.com'}"),
        "ORC401",
        {"tool: web-scraper": "tool: web`, `action: read"},
        {"`, `": ", "},
    ),
    "google-search": Case(
        called("tool: google-search", "{query: tides}"),
        "ORC401",
        {"tool: google-search": "tool: web`, `action: search"},
        {"`, `": ", "},
    ),
    "user-input": Case(
        called("tool: user-input", "{prompt: 'How many?'}"),
        "ORC401",
        {"tool: user-input": 'ask: "How many?"'},
        {", parameters: {prompt: 'How many?'}": ""},
    ),
    "approval": Case(
        called("tool: human-approval", "{message: 'Publish?'}"),
        "ORC401",
        {"tool: human-approval": 'approve: "Publish?"'},
        {", parameters: {message: 'Publish?'}": ""},
    ),
    "sub-workflow": Case(
        called("tool: sub-workflow", "{pipeline: other.yaml}"),
        "ORC401",
        {"tool: sub-workflow": "pipeline: other.yaml"},
        {", parameters: {pipeline: other.yaml}": ""},
    ),
    "loop": Case(
        called("action: loop", "{message: hi}"),
        "ORC401",
        {"action: loop": "for_each: [1, 2, 3]"},
        {"3],": "3], tool: log,"},
    ),
    "openai": Case(
        called("tool: openai", "{prompt: hi}"),
        "ORC401",
        {"tool: openai": "model: auto"},
        {"parameters: {prompt: hi}": "prompt: hi"},
    ),
    "an action of another system": Case(
        called("tool: filesystem, action: store", "{path: a.txt, content: hi}"), "ORC402", {"store": "write"}
    ),
    "an action of a tool with one": Case(
        called("tool: terminal, action: start", "{command: [ls]}"), "ORC402", {"start": "execute"}
    ),
    # parameters and keys of other systems
    "a parameter that holds the name of a required one": Case(
        called("tool: filesystem, action: write", "{file_path: a.txt, content: hi}"), "ORC403", {"file_path": "path"}
    ),
    "output_schema": Case(
        "steps:\n  - {id: made, model: auto, prompt: hi, output_schema: {size: integer}}\n",
        "ORC201",
        {"output_schema": "schema"},
    ),
    "a name in the place of an id": Case(
        "steps:\n  - {name: show, tool: log, parameters: {message: hi}}\n", "ORC203", {"name: show": "id: show"}
    ),
    "a flag in the place of an approval": Case(
        called("tool: log, approve: true", "{message: hi}"),
        "ORC202",
        {"approve: true": 'condition: "{{ approve_show }}"'},
        {"steps:\n": 'steps:\n  - {id: approve_show, approve: "Run show?"}\n'},
    ),
    "a flag before the work that is to be approved": Case(
        called("approve: true, tool: log", "{message: hi}"),
        "ORC202",
        {"approve: true": 'condition: "{{ approve_show }}"'},
        {"steps:\n": 'steps:\n  - {id: approve_show, approve: "Run show?"}\n'},
    ),
    "a flag next to a prompt": Case(
        "steps:\n  - {id: show, prompt: hi, model: auto, approve: true}\n",
        "ORC202",
        {"approve: true": 'condition: "{{ approve_show }}"'},
        {"steps:\n": 'steps:\n  - {id: approve_show, approve: "Run show?"}\n'},
    ),
    "a flag that asks for no approval": Case(
        called("tool: log, approve: false", "{message: hi}"), "ORC202", {}, {", approve: false": ""}
    ),
    "an approval without a title": Case(
        "steps: [{id: show, approve: true}]\n", "ORC202", {"approve: true": 'approve: "Publish the report?"'}
    ),
    "a question without a text": Case(
        "steps: [{id: show, ask: true}]\n", "ORC202", {"ask: true": 'ask: "Which city?"'}
    ),
    "a required parameter next to others": Case(
        called("tool: http, action: get, url: https://example.org", "{timeout: 5}"),
        "ORC201",
        {},
        {", url: https://example.org": "", "{timeout": "{url: https://example.org, timeout"},
    ),
    # names of the item of a loop
    "a field of the item": Case(
        FETCH + in_loop('for_each: "{{ fetch }}"', '"{{ size }}"').removeprefix("steps:\n"),
        "ORC301",
        {"size": "item.size"},
    ),
    "the singular of a list": Case(
        "variables: {cities: [Rome, Oslo]}\n" + in_loop('for_each: "{{ cities }}"', '"{{ city }}"'),
        "ORC301",
        {"city": "item"},
    ),
    "the singular of a list whose items have another name": Case(
        "variables: {cities: [Rome, Oslo]}\n"
        + in_loop('for_each: "{{ variables.cities }}"\n    as: town', '"{{ city }}"'),
        "ORC301",
        {"city": "town"},
    ),
    # steps that the file does not hold
    "a name near to that of an invisible step": Case(
        'steps:\n  - {id: x, tool: log, parameters: {message: "<AUTO>a title</AUTO>"}}\n'
        "  - {id: y, tool: log, parameters: {message: hi}, dependencies: [x_auto]}\n",
        "ORC302",
        {"x_auto": "x"},
    ),
    # a step is not told to read itself
    "a name near to the step's own": Case(
        'steps:\n  - {id: fetch, tool: log, parameters: {message: "{{ fetchh.status }}"}}\n'
        "  - {id: fetches, tool: log, parameters: {message: hi}}\n",
        "ORC301",
        {"fetchh": "fetches"},
    ),
}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> orc.Orchestrator:
    monkeypatch.chdir(tmp_path)
    Path("prompts").mkdir()
    Path("prompts/x.txt").write_text("hi", encoding="utf-8")
    Path("other.yaml").write_text(log("hi"), encoding="utf-8")
    return orc.Orchestrator(models=FakeModel(otherwise="fail"), permissions=Permissions(tmp_path, allow_run=True))


@pytest.mark.parametrize("name", CASES)
def test_help_that_is_followed_leads_to_no_further_error(client: orc.Orchestrator, name: str) -> None:
    case = CASES[name]
    (problem,) = [each for each in client.check(case.source).diagnostics if each.severity == "error"]
    assert problem.code == case.code, problem.help
    source = case.source
    for piece, instead in case.follow.items():
        assert instead.removesuffix(" |") in (problem.help or ""), problem.help
        assert piece in source
        source = source.replace(piece, instead)
    for piece, instead in case.around.items():
        assert piece in source, source
        source = source.replace(piece, instead)
    report = client.check(source)
    assert report.ok, f"{source}\n{render_text(report.diagnostics)}"
    assert not {each.severity for each in report.diagnostics} - {"warning"}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.follow])
def test_a_fix_that_is_applied_leads_to_no_further_error(client: orc.Orchestrator, name: str) -> None:
    source = CASES[name].source
    (problem,) = [each for each in client.check(source).diagnostics if each.severity == "error"]
    if problem.fix is None:  # its help leaves something to decide
        return
    lines = source.split("\n")
    start, end = problem.fix.span.start, problem.fix.span.end
    assert start.line == end.line
    line = lines[start.line - 1]
    lines[start.line - 1] = line[: start.column - 1] + problem.fix.replacement + line[end.column - 1 :]
    report = client.check("\n".join(lines))
    assert report.ok, render_text(report.diagnostics)
