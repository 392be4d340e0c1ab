"""A case is one real run, with something else in the place of models, and what it achieved is compared."""

from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.testing import Outcome, Setting, load, run_cases
from tests.ollama import Ollama

PIPELINE = """
id: report
model: openai:gpt-5-mini
inputs:
  topic: {type: string, default: tides}
  parts: {type: array, default: [one, two]}
steps:
  - id: draft
    prompt: "Write about {{ topic }}."
  - id: each
    for_each: "{{ parts }}"
    as: part
    steps:
      - id: write
        prompt: "Write part {{ part }} of {{ draft }}"
  - id: fetch
    tool: http
    action: get
    parameters: {url: "https://example.com/{{ topic }}"}
  - id: ok
    approve: "Publish {{ draft }}?"
outputs:
  text: "{{ draft }}"
  body: "{{ fetch.body }}"
  ok: "{{ ok }}"
"""


def outcomes(tmp_path: Path, cases: str, *, pipeline: str = PIPELINE, update: bool = False) -> list[Outcome]:
    (tmp_path / "report.yaml").write_text(pipeline, encoding="utf-8")
    path = tmp_path / "report.test.yaml"
    path.write_text(dedent(cases), encoding="utf-8")
    setting = Setting(tmp_path, update=update)
    file = load(path, setting)
    assert file.diagnostics == ()
    return list(run_cases([(file, case) for case in file.cases], setting))


def of(tmp_path: Path, case: str, *, pipeline: str = PIPELINE) -> Outcome:
    (outcome,) = outcomes(tmp_path, f"cases: [{case}]", pipeline=pipeline)
    return outcome


def test_a_case_passes_where_all_is_as_expected(tmp_path: Path) -> None:
    (outcome,) = outcomes(
        tmp_path,
        """
        stub: {fetch: {status_code: 200, body: hello}}
        cases:
          - models: {fake: {draft: A draft about tides., each.write: ["1", "2"]}}
            inputs: {topic: the moon}
            answers: {ok: true}
            expect:
              outputs: {text: {contains: tides}, body: hello, ok: true}
              steps:
                draft: A draft about tides.
                each: {expression: "value | length == 2"}
                each.write: {matches: "[12]"}
                fetch.status_code: 200
              expression: outputs.text | length > 5
              models: openai:gpt-5-mini
              cost_below: 0.01
        """,
    )
    assert (outcome.end, outcome.reasons) == ("passed", ())


SUMMARY = """
steps:
  - {id: sum, action: generate, prompt: Sum it up, schema: {tags: [string], by: {name: string}}}
  - id: each
    for_each: [1, 2]
    steps: [{id: row, action: generate, prompt: hi, schema: {cells: [string]}}]
  - {id: listed, tool: json, action: query, parameters: {data: [[1, 2], [3]], path: "$"}}
outputs: {first: "{{ sum.tags.0 }}", same: "{{ sum.tags[0] }}"}
"""
ANSWERS = "{sum: {tags: [a, b], by: {name: Ada}}, each.row: [{cells: [x, y]}, {cells: [z]}]}"


@pytest.mark.parametrize(
    "part",
    [
        "sum.tags.0: a",
        "'sum.tags[0]': a",
        "'sum.tags[1]': b",
        "'sum.tags[2]': null",
        "sum.by.name: Ada",
        "sum.data.by.name: Ada",
        "sum.model: {matches: .}",
        "'each[0].row.cells[1]': y",
        "'each[1].row.cells.0': z",
        "'listed[0][1]': 2",
        "listed.1.0: 3",
    ],
)
def test_a_part_of_a_value_is_named_as_in_expressions(tmp_path: Path, part: str) -> None:
    case = f"{{models: {{fake: {ANSWERS}}}, expect: {{outputs: {{first: a, same: a}}, steps: {{{part}}}}}}}"
    found = of(tmp_path, case, pipeline=SUMMARY)
    assert (found.end, found.reasons) == ("passed", ())


@pytest.mark.parametrize("name", ["sun.tags.0", "each.rwo", "sum..tags", "sum.tags[", "nothing[0]"])
def test_a_part_of_a_step_that_the_pipeline_does_not_have_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "report.yaml").write_text(SUMMARY, encoding="utf-8")
    (tmp_path / "report.test.yaml").write_text(f"cases: [{{expect: {{steps: {{'{name}': a}}}}}}]", encoding="utf-8")
    (problem,) = load(tmp_path / "report.test.yaml", Setting(directory=tmp_path)).diagnostics
    assert f"has no step `{name.split('[')[0]}" in problem.message


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ("outputs: {text: other}", 'outputs.text: expected "other", got "A draft."'),
        ("steps: {draft: {contains: sun}}", 'steps.draft: expected to contain "sun", got "A draft."'),
        (
            "steps: {'each[1].write': {state: skipped}}",
            "steps.each[1].write: expected to be skipped, and it is succeeded",
        ),
        ("steps: {'each[7].write': x}", "steps.each[7].write: it never began"),
        ("expression: outputs.text | length > 50", "expected `outputs.text | length > 50`, and it does not hold"),
        ("models: [ollama:llama3.2]", "models: expected ollama:llama3.2 to answer, and it was openai:gpt-5-mini"),
        ("cost_below: 0", "cost_below: expected less than $0, and it was $"),
        ("state: failed", "expected the run to be failed, and it is succeeded"),
    ],
)
def test_what_is_not_as_expected_is_said(tmp_path: Path, expect: str, reason: str) -> None:
    pipeline = PIPELINE.partition("  - id: fetch")[0] + "outputs:\n  text: '{{ draft }}'\n"
    found = of(tmp_path, f"{{models: {{fake: {{draft: A draft.}}}}, expect: {{{expect}}}}}", pipeline=pipeline)
    assert found.end == "failed"
    assert found.reasons[0].startswith(reason)


def test_a_run_that_waits_for_a_person_says_so(tmp_path: Path) -> None:
    found = of(tmp_path, "{models: fake, stub: {fetch: hello}}")
    assert found.end == "failed"
    assert found.reasons[0].startswith("expected the run to be succeeded, and it is waiting: ")
    assert of(tmp_path, "{models: fake, stub: {fetch: hello}, expect: {state: waiting}}").end == "passed"


def test_errors_can_be_expected_of_models_tools_and_inputs(tmp_path: Path) -> None:
    cases = [
        "{name: a, models: {fake: {draft: {raise: ModelRefused}}}, expect: {error: {code: ORC724, step: draft}}}",
        "{name: b, models: fake, stub: {fetch: {raise: StepError, message: no}}, expect: {error: {message: no}}}",
        "{name: c, models: fake, inputs: {parts: 3}, expect: {error: {message: {contains: parts}}}}",
        "{name: d, models: fake, stub: {fetch: {raise: StepError}}, expect: {error: ORC724}}",
    ]
    found = outcomes(tmp_path, f"cases: [{', '.join(cases)}]")
    assert [outcome.end for outcome in found] == ["passed", "passed", "passed", "failed"]
    assert found[3].reasons[0].startswith('error.code: expected "ORC724", got "ORC701": step `fetch`: raised by a test')


def test_a_live_case_is_skipped_where_a_key_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    found = of(tmp_path, "{models: live}")
    assert found.end == "skipped"
    assert "OPENAI_API_KEY" in found.reasons[0]


def test_recordings_are_made_by_an_update_and_played_ever_after(tmp_path: Path, ollama: Ollama) -> None:
    pipeline = PIPELINE.replace("openai:gpt-5-mini", "ollama:llama3.2").partition("  - id: fetch")[0]
    (before,) = outcomes(tmp_path, "cases: [{}]", pipeline=pipeline)
    assert before.end == "failed"
    assert "no recording in `" in before.reasons[0]
    assert f"orchestrator test {tmp_path / 'report.test.yaml'} --update" in before.reasons[0]
    (made,) = outcomes(tmp_path, "cases: [{}]", pipeline=pipeline, update=True)
    assert (made.end, len(made.written)) == ("passed", 3)
    (played,) = outcomes(tmp_path, "cases: [{}]", pipeline=pipeline)
    assert (played.end, played.written) == ("passed", frozenset())
    (changed,) = outcomes(tmp_path, "cases: [{}]", pipeline=pipeline.replace("Write about", "Tell about"))
    assert changed.end == "failed"
    assert "[-Write-]{+Tell+} about tides." in changed.reasons[0]


def test_names_that_the_pipeline_does_not_have_are_mistakes_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "report.yaml").write_text(PIPELINE, encoding="utf-8")
    path = tmp_path / "report.test.yaml"
    path.write_text(
        dedent(
            """\
            cases:
              - inputs: {topik: x}
                models: {fake: {draff: x, fetch: x, "draft:judge": x}}
                expect:
                  outputs: {txt: x}
                  steps: {"each[3].writ": x, fetch.staus_code: 200}
                stub: {ok: x}
                answers: {fetch: x}
            """
        ),
        encoding="utf-8",
    )
    found = load(path, Setting(tmp_path)).diagnostics
    assert [(d.code, d.span.start.line, d.help) for d in found] == [
        ("ORC431", 2, "did you mean `topic`?"),
        ("ORC431", 3, "did you mean `draft`?"),
        ("ORC431", 3, "`stub` replaces the result of a step that calls a tool"),
        ("ORC431", 3, "it has: `draft`, `each.write`"),
        ("ORC431", 5, "did you mean `text`?"),
        ("ORC431", 6, "did you mean `each.write`?"),
        ("ORC431", 6, "did you mean `fetch.status_code`?"),
        ("ORC431", 7, "it has: `draft`, `each.write`, `fetch`"),
        ("ORC431", 8, "it has: `ok`"),
    ]


def test_the_mistakes_of_the_pipeline_are_told_too_and_one_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "report.test.yaml"
    path.write_text("cases: [{}]", encoding="utf-8")
    assert "pipeline file" in load(path, Setting(tmp_path)).diagnostics[0].message
    (tmp_path / "report.yaml").write_text("steps: [{id: a, prompt: '{{ b }}'}]", encoding="utf-8")
    assert [d.code for d in load(path, Setting(tmp_path)).diagnostics] == ["ORC301"]


def test_the_tools_of_an_agent_can_be_stubbed(tmp_path: Path) -> None:
    pipeline = """
    steps:
      - id: research
        model: auto
        prompt: How warm is it?
        tools: [http.get]
    outputs:
      answer: "{{ research }}"
    """
    (outcome,) = outcomes(
        tmp_path,
        """
        stub: {research.http_get: warm}
        cases:
          - models:
              fake:
                research.answer: [{call: http_get, with: {url: "https://example.com"}}, It is warm.]
            expect:
              outputs: {answer: It is warm.}
              steps: {"research[0].http_get": warm}
        """,
        pipeline=dedent(pipeline),
    )
    assert (outcome.end, outcome.reasons) == ("passed", ())


def test_a_file_may_bring_tools_and_a_case_a_budget_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import orchestrator as orc\n\n\n@orc.tool\ndef shout(text: str) -> str:\n"
        '    """Say it loudly."""\n    return text.upper()\n'
    )
    pipeline = """
    budget: {requests: 1}
    steps:
      - {id: draft, model: auto, prompt: Write.}
      - {id: mend, model: auto, prompt: "Mend {{ draft }}"}
      - {id: loud, tool: shout, parameters: {text: "{{ mend }}"}}
    outputs:
      text: "{{ loud }}"
    """
    cases = """
    tools: mine.py
    models: {fake: {mend: mended}}
    cases:
      - {name: too little, expect: {error: ORC727}}
      - {name: enough, budget: {requests: 2}, expect: {outputs: {text: MENDED}}}
    """
    found = outcomes(tmp_path, cases, pipeline=dedent(pipeline))
    assert [(outcome.end, outcome.reasons) for outcome in found] == [("passed", ())] * 2


def test_an_agent_and_a_judge_are_scripted_by_their_names(tmp_path: Path) -> None:
    pipeline = """
    steps:
      - {id: agent, model: auto, prompt: What is in it?, tools: [filesystem.read]}
      - {id: letter, model: auto, prompt: "Write of {{ agent }}.", check: {judge: {rubric: Polite., model: auto}}}
    outputs: {letter: "{{ letter }}", turns: "{{ agent.turns }}"}
    """
    cases = """
    cases:
      - models:
          fake:
            agent: [{call: filesystem.read, with: {path: here.txt}}, Tea.]
            letter: [Rude., Polite.]
            letter:judge:
              - {score: 0.1, reason: It is rude., suggestions: []}
              - {score: 0.9, reason: It is polite., suggestions: []}
        expect: {outputs: {letter: Polite., turns: 2}}
    """
    (found,) = outcomes(tmp_path, cases, pipeline=dedent(pipeline))
    assert (found.end, found.reasons) == ("passed", ())


def test_the_calls_of_an_agent_are_steps_that_a_case_may_expect(tmp_path: Path) -> None:
    pipeline = """
    steps:
      - {id: research, model: auto, prompt: What is in it?, tools: [filesystem.read]}
    """
    cases = """
    models: {fake: {research.answer: [{call: filesystem.read, with: {path: here.txt}}, Tea.]}}
    cases:
      - {name: it fails, expect: {steps: {"research[0].filesystem_read": {state: failed}, research.turns: 2}}}
      - {name: it does not succeed, expect: {steps: {research.filesystem_read: {state: succeeded}}}}
      - {name: it was no other, expect: {steps: {"research[0].filesystem_list": {state: failed}}}}
    """
    failed, succeeded, other = outcomes(tmp_path, cases, pipeline=dedent(pipeline))
    assert (failed.end, failed.reasons) == ("passed", ())
    assert "steps.research[0].filesystem_read: expected to be succeeded, and it is failed" in succeeded.reasons[0]
    assert other.end == "failed"


PEOPLE = """
id: people
steps:
  - id: ok
    approve: "Publish?"
    timeout: 1h
  - id: who
    ask: "Who?"
outputs: {ok: "{{ ok }}", who: "{{ who }}"}
"""


def test_answers_are_given_also_where_a_run_would_go_on_by_itself_at_some_time(tmp_path: Path) -> None:
    case = "{answers: {ok: true, who: Ada}, expect: {outputs: {ok: true, who: Ada}}}"
    assert of(tmp_path, case, pipeline=PEOPLE).reasons == ()


def test_a_pipeline_that_asks_no_model_needs_no_recordings(tmp_path: Path) -> None:
    pipeline = (
        'id: quiet\nsteps: [{id: a, action: text.template, parameters: {template: "x"}}]\noutputs: {a: "{{ a }}"}'
    )
    assert of(tmp_path, "{expect: {outputs: {a: x}}}", pipeline=pipeline).reasons == ()


def test_a_question_next_to_a_wait_is_answered(tmp_path: Path) -> None:
    race = """
    id: race
    steps:
      - id: race
        wait_for: any
        parallel:
          - {id: nap, sleep: 2h}
          - {id: who, ask: "Who?"}
    """
    case = "{answers: {race.who: Ada}, expect: {steps: {race.who: Ada, race.nap: {state: cancelled}}}}"
    assert of(tmp_path, case, pipeline=dedent(race)).reasons == ()


def test_an_answer_that_does_not_fit_is_said_at_once(tmp_path: Path) -> None:
    pipeline = PEOPLE.replace("steps:", "steps:\n  - {id: nap, sleep: 2h}", 1)
    outcome = of(tmp_path, "{timeout: 3600, answers: {ok: maybe}}", pipeline=pipeline)
    assert outcome.end == "failed"
    assert "invalid answer to" in outcome.reasons[0]


LOOPING = """
id: loop
steps:
  - id: each
    for_each: [1, 2]
    tool: http
    action: get
    parameters: {url: "https://example.com/{{ item }}"}
outputs: {all: "{{ each }}"}
"""


@pytest.mark.parametrize(
    ("stub", "bodies"),
    [("{each: {status_code: 200, body: x, content: x}}", ["x", "x"]), ("{'each[0]': a, 'each[1]': b}", ["a", "b"])],
)
def test_a_loop_that_is_one_call_is_stubbed(tmp_path: Path, stub: str, bodies: list[str]) -> None:
    case = f"{{stub: {stub}, expect: {{outputs: {{all: {bodies}}}, steps: {{each: {{state: succeeded}}}}}}}}"
    assert of(tmp_path, case, pipeline=LOOPING).reasons == ()


BRANCHING = """
id: branching
inputs: {kind: {type: string}}
steps:
  - id: which
    switch: "{{ inputs.kind }}"
    cases:
      a: [{id: first, action: text.template, parameters: {template: "a"}}]
      b:
        - id: second
          if: "{{ true }}"
          steps: [{id: inner, action: text.template, parameters: {template: "b"}}]
  - id: off
    if: "{{ false }}"
    steps: [{id: within, action: text.template, parameters: {template: "c"}}]
"""


def test_a_step_of_a_branch_that_is_not_taken_is_skipped(tmp_path: Path) -> None:
    expect = "which.first: {state: %s}, which.second: {state: %s}, which.second.inner: {state: %s}"
    case = "{inputs: {kind: a}, expect: {steps: {off.within: {state: skipped}, %s}}}"
    assert of(tmp_path, case % (expect % ("succeeded", "skipped", "skipped")), pipeline=BRANCHING).reasons == ()
    wrong = of(tmp_path, case % (expect % ("succeeded", "succeeded", "pending")), pipeline=BRANCHING).reasons
    assert wrong == (
        "steps.which.second: expected to be succeeded, and it is skipped: it never began",
        "steps.which.second.inner: expected to be pending, and it is skipped: it never began",
    )


def test_tools_that_are_classes_serve_cases_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(
        "import time\n\nimport orchestrator as orc\n\n\n@orc.tool\nclass Counter:\n"
        '    """Count."""\n\n    def up(self, n: int) -> int:\n        """Count up."""\n        return n + 1\n\n\n'
        "time.sleep(0.01)\nLATE = True\n",
        encoding="utf-8",
    )
    pipeline = "id: count\nsteps: [{id: a, action: counter.up, parameters: {n: 1}}]\noutputs: {a: '{{ a }}'}\n"
    cases = "tools: counting.py\ncases:\n" + "".join(
        f"  - {{name: case {number}, expect: {{outputs: {{a: 2}}}}}}\n" for number in range(24)
    )
    found = outcomes(tmp_path, cases, pipeline=pipeline)
    assert {outcome.reasons for outcome in found} == {()}


WRITES = """
steps:
  - id: save
    tool: filesystem
    action: write
    parameters: {path: out/report.md, content: "# Tides\\n\\nThe moon.\\n"}
"""


@pytest.mark.parametrize(
    ("files", "reasons"),
    [
        (
            "{out/report.md: {contains: [Tides, moon], matches: '^# '}, out: {exists: true}}",
            ("files.out: expected a file, and it is not one",),
        ),
        ('{out/report.md: {equals: "# Tides\\n\\nThe moon.\\n"}, other.md: {exists: false}}', ()),
        ("{out/report.md: {exists: true}, kept.txt: from before}", ()),
        (
            "{out/report.md: {contains: sun}}",
            ('files.out/report.md: expected to contain "sun", got "# Tides\\n\\nThe moon.\\n"',),
        ),
        ("{out/report.md: {exists: false}}", ("files.out/report.md: expected not to exist, and it does",)),
        ("{missing.md: {contains: sun}}", ("files.missing.md: expected a file, and there is none",)),
        (
            "{leaves.txt: {contains: secret}}",
            ("files.leaves.txt: it leads out of the case's folder through a symbolic link, and is not read",),
        ),
        ("{binary: {contains: a}}", ("files.binary: it is not UTF-8 text",)),
    ],
)
def test_files_that_a_run_writes_are_compared(tmp_path: Path, files: str, reasons: tuple[str, ...]) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (project / "leaves.txt").symlink_to(tmp_path / "secret.txt")
    (project / "kept.txt").write_text("from before")
    (project / "binary").write_bytes(b"\xff\xfe")
    outcome = of(project, f"{{expect: {{files: {files}}}}}", pipeline=WRITES)
    assert outcome.reasons == reasons
    assert not (project / "out").exists()
