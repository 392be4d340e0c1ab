"""Questions whose answer nothing waits for."""

import pytest

from tests.compiler.test_compilation import compiled

ASKED = "steps:\n  - {id: ok, approve: {title: Publish?}}\n"
PUBLISH = "  - {id: publish, tool: echo, parameters: {value: 1}}\n"

AGENT = "  - {{id: publish, action: agent, parameters: {{prompt: Go, tools: {}, model: auto}}}}\n"


def warned(text: str) -> list[str]:
    found = [each for each in compiled(text).diagnostics if each.code == "ORC512"]
    return [each.message.split("`")[1] for each in found]


@pytest.mark.parametrize(
    "acting",
    [
        PUBLISH,
        "  - {id: publish, for_each: [1], tool: echo, parameters: {value: 1}}\n",
        "  - {id: publish, steps: [{id: inner, tool: echo, parameters: {value: 1}}]}\n",
        "  - {id: said, action: text.template, parameters: {template: x}}\n" + PUBLISH,
        AGENT.format("[filesystem]"),
        AGENT.format("[http.get, echo]"),
        "  - {id: publish, for_each: [1], action: agent, parameters: {prompt: x, tools: [http.post], model: auto}}\n",
        "  - {id: publish, switch: 1, cases: {1: [{id: inner, tool: echo, parameters: {value: 1}}]}}\n",
    ],
)
def test_an_approval_that_nothing_waits_for_is_warned_of(acting: str) -> None:
    assert warned(ASKED + acting) == ["publish"]


@pytest.mark.parametrize(
    "text",
    [
        ASKED + "  - {id: publish, condition: ok, tool: echo, parameters: {value: 1}}\n",
        ASKED + "  - {id: publish, dependencies: [ok], tool: echo, parameters: {value: 1}}\n",
        ASKED + "  - {id: publish, tool: echo, parameters: {value: '{{ steps.ok.comment }}'}}\n",
        ASKED + PUBLISH + "  - {id: told, condition: ok, tool: echo, parameters: {value: 1}}\n",
        ASKED + PUBLISH + "outputs: {ok: '{{ ok }}'}\n",
        ASKED + PUBLISH + "finally:\n  - {id: last, tool: echo, parameters: {value: '{{ ok }}'}}\n",
        ASKED + "  - {id: said, action: text.template, parameters: {template: x}}\n",
        ASKED,
        "steps:\n" + PUBLISH + "  - {id: ok, approve: {title: Right?}}\n",
        "steps:\n  - {id: ok, approve: {title: Right?, content: '{{ publish }}'}}\n" + PUBLISH,
        "steps:\n  - {id: ok, approve: {title: Right?}, on_success: publish}\n" + PUBLISH,
        "steps:\n  - {id: all, parallel: [{id: ok, ask: Ready?}, {id: publish, tool: echo, parameters: {value: 1}}]}\n",
    ],
)
def test_a_question_that_a_step_waits_for_or_that_is_last_is_not_reported(text: str) -> None:
    assert compiled(text).ok
    assert warned(text) == []


@pytest.mark.parametrize("tools", ["[]", "[filesystem.read, http.get, json]"])
def test_an_agent_whose_tools_have_no_effect_does_not_act(tools: str) -> None:
    assert warned(ASKED + AGENT.format(tools)) == []
