"""What people of other systems type: each word leads straight to a file that works."""

from __future__ import annotations

import pytest

from orchestrator.language import Document, read_document

LATER = "  - {id: later, tool: log}\n"

OF_A_STEP = {
    # the word: a step with it, and the key that stands there after the fix
    "set": ("set: {total: 3}", "value"),
    "let": ("let: 3", "value"),
    "assign": ("assign: {total: 3}", "value"),
    "throw": ("throw: The state is unsafe", "fail"),
    "raise": ("raise: The state is unsafe", "fail"),
    "return": ("return: {report: done}", "end"),
    "finish": ("finish: true", "end"),
    "uses": ("uses: log", "tool"),
    "strategy": ("strategy: {matrix: {a: [1]}}, tool: log", "for_each"),
    "parallel_for": ('parallel_for: "{{ [1] }}", tool: log', "for_each"),
    "map": ('map: "{{ [1] }}", tool: log', "for_each"),
    "catch": ("tool: log, catch: {tool: log}", "on_error"),
    "rescue": ("tool: log, rescue: {tool: log}", "on_error"),
    "assert": ("value: 3, assert: output > 2", "check"),
    "reduce": ('for_each: [1], tool: log, initial: {n: 0}, reduce: {n: "{{ n + item }}"}', "update"),
    "delay": ("delay: 5m", "sleep"),
    "confirm": ("confirm: Publish?", "approve"),
    "repeat": ("repeat: later, steps: [{id: one, tool: log}]", "until"),
    "after": ("tool: log, after: [later]", "dependencies"),
}

ACCEPTED = {
    "goto": "tool: log, goto: later",
    "when": "tool: log, when: later",
    "if": "tool: log, if: later",
    "needs": "tool: log, needs: later",
    "depends_on": "tool: log, depends_on: [later]",
    "with": "tool: log, with: {message: x}",
    "args": "tool: log, args: {message: x}",
    "foreach": "tool: log, foreach: [1, 2]",
}

AT_THE_TOP = {
    # the word: the line with it, what the help says, and the line that works
    "on": ("on: push", "`triggers:`", 'triggers: {nightly: {schedule: "15 3 * * *"}}'),
    "schedule": ('schedule: "0 3 * * *"', "`triggers:`", 'triggers: {nightly: {schedule: "15 3 * * *"}}'),
    "webhook": ("webhook: HOOK_SECRET", "`triggers:`", "triggers: {pushed: {webhook: HOOK_SECRET}}"),
    "retry": ("retry: 3", "`defaults: {retry: 3}`", "defaults: {retry: 3}"),
    "max_parallel": ("max_parallel: 4", "`defaults: {max_parallel: 4}`", "defaults: {max_parallel: 4}"),
    "max_workers": ("max_workers: 4", "`defaults: {max_parallel: 4}`", "defaults: {max_parallel: 4}"),
    "concurrency-group": ("concurrency-group: deploy", "`concurrency: {key: ...", "concurrency: {key: deploy, max: 1}"),
    "catch": ("catch: {tool: log}", "`error_handlers`", "error_handlers: {tool: log}"),
    "cleanup": ("cleanup: [{id: tidy, tool: log}]", "`finally`", "finally: [{id: tidy, tool: log}]"),
    "env": ("env: {topic: wind}", "`inputs`", "inputs: {topic: wind}"),
    "trigger": ("trigger: {a: {schedule: '@daily'}}", "`triggers`", "triggers: {a: {schedule: '@daily'}}"),
    "with": ("with: {topic: wind}", "`inputs:`", "inputs: {topic: wind}"),
    "compensate": ("compensate: true", "remove it", ""),
    "strategy": ("strategy: {matrix: {a: [1]}}", "`for_each: {matrix: {...}}` in the step", ""),
}

IN_A_STEP = {
    # the word: a step with it, what the help says, and the step that works
    "compensate": ("tool: log, compensate: {tool: log}", "did you mean `undo`?", "tool: log, undo: {tool: log}"),
    "triggers": (
        "tool: log, triggers: {a: {schedule: '@daily'}}",
        "a key of the file: write it at the top",
        "tool: log",
    ),
    "on": ("tool: log, on: push", "`triggers:` at the top of the file", "tool: log"),
    "env": ("tool: log, env: {A: b}", "`inputs: {token: {default_from_env: TOKEN, secret: true}}`", "tool: log"),
    "concurrency-group": ("tool: log, concurrency-group: a", "`concurrency: {key: ...", "tool: log"),
    "finally": ("tool: log, finally: [{tool: log}]", "a key of the file", "tool: log"),
}

OF_STEPS = (
    "set: {total: 3}",
    "value: 3",
    "fail: x",
    "throw: x",
    "uses: log",
    "needs: later",
    "when: x",
    "produces: x",
)


def document(step: str, top: str = "") -> Document:
    return read_document(f"{top}outputs: {{report: x}}\nsteps:\n  - {{id: one, {step}}}\n{LATER}", name="f.yaml")


@pytest.mark.parametrize("word", OF_A_STEP)
def test_a_word_of_another_system_leads_to_what_works(word: str) -> None:
    step, key = OF_A_STEP[word]
    found = document(step)
    (diagnostic,) = found.diagnostics
    assert diagnostic.help == f"did you mean `{key}`?"
    assert not document(step.replace(f"{word}:", f"{key}:")).diagnostics


@pytest.mark.parametrize("word", ACCEPTED)
def test_a_clear_word_of_another_system_is_accepted(word: str) -> None:
    assert not document(ACCEPTED[word]).diagnostics


@pytest.mark.parametrize("word", AT_THE_TOP)
def test_a_word_at_the_top_of_a_file_leads_to_what_works(word: str) -> None:
    line, help, works = AT_THE_TOP[word]
    (diagnostic,) = document("tool: log", f"{line}\n").diagnostics
    assert help in (diagnostic.help or "")
    assert not document("tool: log", f"{works}\n").diagnostics


@pytest.mark.parametrize("word", IN_A_STEP)
def test_a_word_in_a_step_leads_to_what_works(word: str) -> None:
    step, help, works = IN_A_STEP[word]
    (diagnostic,) = document(step).diagnostics
    assert help in (diagnostic.help or "")
    assert not document(works).diagnostics


def test_the_form_of_another_system_for_limited_runs_leads_to_what_works() -> None:
    (diagnostic,) = document("tool: log", "concurrency: {group: deploy, cancel-in-progress: true}\n").diagnostics
    assert diagnostic.help == "to have a new run cancel the oldest one, write `on_full: cancel_oldest`"
    assert not document("tool: log", "concurrency: {group: deploy, on_full: cancel_oldest}\n").diagnostics


@pytest.mark.parametrize("line", OF_STEPS)
def test_a_key_of_a_step_at_the_top_of_a_file_is_sent_to_the_steps(line: str) -> None:
    (diagnostic,) = document("tool: log", f"{line}\n").diagnostics
    assert "is a key of a step: write it below `steps:`" in (diagnostic.help or "")
