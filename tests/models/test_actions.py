import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ModelAnswerInvalid, ModelUnavailable, StepError
from orchestrator.expressions import describe_type
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.model_options import CallSpec
from orchestrator.language.spec.pipeline import StepSpec
from orchestrator.models.actions import model_tools
from orchestrator.models.messages import Message, ModelReply, Usage
from orchestrator.testing import FakeModel
from orchestrator.tools import Registry, Unresolved, check_parameter, to_tool, tool
from tests.models.acting import MODEL, Desk

TOOL = model_tools().get("model")
assert TOOL is not None
SMALL = "openai:text-embedding-3-small"
DETAILS = {"model", "why", "usage", "cost"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def known_type(action: str, **constants: Any) -> Any:
    found = TOOL.actions[action].result_type
    assert found is not None
    return found(constants)


# --- what every action has


@pytest.mark.parametrize("action", TOOL.actions.values(), ids=lambda action: action.name)
def test_every_action_takes_the_choice_of_a_model_and_says_who_answered(action: Any) -> None:
    assert {"model", "requires_model", "selection"} <= action.parameters.keys()
    assert action.returns.properties.keys() >= DETAILS | {action.primary}
    assert action.uses_model
    assert all(parameter.description for parameter in action.parameters.values())
    assert f"action: {action.name}" in action.example


def test_a_step_may_say_itself_all_that_the_actions_take() -> None:
    written = (action for name, action in TOOL.actions.items() if name != "auto")  # a file writes `<AUTO>` for it
    taken = {name for action in written for name in action.parameters}
    assert taken & key_fields(StepSpec).keys() == {"parallel"}
    assert key_fields(CallSpec).keys() == taken - {"parallel"}


def test_the_settings_of_a_step_reach_the_model(desk: Desk) -> None:
    desk("generate_text", prompt="Hi", system="Be brief.", temperature=0.5, max_tokens=9, seed=7, stop="END")
    request = desk.request
    assert request.messages == (Message("user", "Hi"),)
    assert (request.system, request.temperature, request.max_tokens) == ("Be brief.", 0.5, 9)
    assert (request.seed, request.stop, request.schema) == (7, ("END",), None)


def test_a_result_says_who_answered_why_and_what_it_took(desk: Desk) -> None:
    desk.says(ModelReply("Hello.", usage=Usage(100, 10, 20, 5, 1)))
    result = desk("generate_text", prompt="Hi")
    assert result["model"] == MODEL
    assert result["why"] == "named in the pipeline"
    assert result["usage"] == {"input": 100, "output": 10, "cached": 20, "reasoning": 5, "requests": 1}
    assert 0 < result["cost"] < 0.001


def test_a_price_that_nobody_knows_is_no_price_of_zero(desk: Desk) -> None:
    assert desk("generate_text", prompt="Hi", model="openai:gpt-99")["cost"] is None


def test_a_list_of_models_is_asked_in_its_order(desk: Desk) -> None:
    desk.says(ModelUnavailable("down", status=503)).says("Yes.", model="openai:gpt-5")
    result = desk("generate_text", prompt="Hi", model=[MODEL, "openai:gpt-5"])
    assert (result["text"], result["model"]) == ("Yes.", "openai:gpt-5")


def test_requirements_choose_a_model(desk: Desk) -> None:
    result = desk("generate_text", prompt="Hi", model=None, requires_model={"providers": "anthropic"}, selection="cost")
    assert result["model"].startswith("anthropic:")


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        ({"capabilities": ["visoin"]}, "did you mean `vision`?"),
        ({"modalities": "smell"}, "there are `text`, `image`"),
        ({"min_size": "large"}, "`min_size` is `large`, not a size"),
        ({"context": "a lot"}, "`context` is `a lot`"),
        ({"max_cost": -1}, "`max_cost` is less than 0"),
        ({"min_size": "70B", "max_size": 7}, "`min_size` (70) is more than `max_size` (7)"),
        ({"capabilitys": []}, "unknown field `capabilitys`"),
    ],
)
def test_requirements_that_nobody_understands_are_refused(desk: Desk, requires: Any, said: str) -> None:
    with pytest.raises(StepError) as caught:
        desk("generate_text", prompt="Hi", requires_model=requires)
    assert caught.value.code == "ORC708"
    assert said in caught.value.message
    assert desk.requests == []


@pytest.mark.parametrize("model", ["", " ", [], ["", "openai:gpt-5-mini"]])
def test_who_names_a_model_by_no_name_does_not_get_any_that_is_at_hand(desk: Desk, model: Any) -> None:
    with pytest.raises(StepError, match="must name a model"):
        desk("generate_text", prompt="Hi", model=model)
    assert desk.requests == []


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"temperature": -1}])
def test_settings_that_make_no_sense_are_refused(desk: Desk, wrong: Any) -> None:
    with pytest.raises(StepError, match="must be at least"):
        desk("generate_text", prompt="Hi", **wrong)


def test_a_personality_is_a_text_or_a_file_and_stands_before_the_system_text(desk: Desk) -> None:
    (desk.directory / "pirate.md").write_text("You are a pirate.\n")
    desk("generate_text", prompt="Hi", personality="You are a poet.", system="Rhyme.")
    assert desk.request.system == "You are a poet.\n\nRhyme."
    desk("classify", text="Hi", labels=["a", "b"], personality="pirate.md", client=FakeModel())
    desk(
        "chat", messages=[{"role": "system", "content": "S"}, {"role": "user", "content": "U"}], personality="pirate.md"
    )
    assert desk.request.system == "S\n\nYou are a pirate."


# --- generate_text


def test_a_text_that_reached_its_limit_says_so_and_the_log_does(desk: Desk) -> None:
    desk.says(ModelReply("Once upon a", finish="length"))
    result = desk("generate_text", prompt="Tell.", max_tokens=3)
    assert (result["text"], result["truncated"]) == ("Once upon a", True)
    assert desk.context is not None
    assert desk.context.lines == [
        ("warning", f"the answer of `{MODEL}` reached its limit of 3 tokens and is cut off; give a larger `max_tokens`")
    ]


def test_a_text_may_be_asked_to_hold_data(desk: Desk) -> None:
    desk.says('{"a": 1}')
    assert desk("generate_text", prompt="Hi", response_format="json")["data"] == {"a": 1}
    assert desk("generate_text", prompt="Hi", response_format={"a": "integer"})["data"] == {"a": 1}
    result = desk("generate_text", prompt="Hi", vars={"a": "integer"})
    assert result["text"] == '{"a": 1}'
    assert desk("generate_text", prompt="Hi", response_format="text")["data"] is None


def test_what_a_text_holds_is_known_before_the_run() -> None:
    assert describe_type(known_type("generate_text", vars={"a": "What?"}).properties["data"]) == "an object with `a`"
    assert describe_type(known_type("generate_text", response_format="json").properties["data"]) == "an object"
    assert describe_type(known_type("generate_text", response_format="text", vars=None).properties["data"]) == "null"
    assert describe_type(known_type("generate_text", response_format=None, vars=None).properties["data"]) == "null"
    assert describe_type(known_type("generate_text").properties["data"]) == "any value"


# --- generate


@pytest.mark.parametrize("key", ["schema", "response_format", "vars"])
def test_an_answer_has_the_form_that_was_asked_for(desk: Desk, key: str) -> None:
    desk.says('{"title": "Tides", "score": 3}')
    result = desk("generate", prompt="Hi", **{key: {"title": "string", "score": "number?"}})
    assert result["data"] == {"title": "Tides", "score": 3}
    assert desk.request.schema is not None
    assert desk.request.schema["required"] == ["title", "score"]


def test_a_form_may_be_a_list(desk: Desk) -> None:
    assert desk.says('["a", "b"]')("generate", prompt="Hi", schema=["string"])["data"] == ["a", "b"]


def test_an_answer_of_another_form_is_asked_for_once_more_with_the_reason(desk: Desk) -> None:
    desk.says('{"n": "3"}', '{"n": 3}')
    assert desk("generate", prompt="Hi", schema={"n": "integer"})["data"] == {"n": 3}
    assert "`n` must be an integer, not the string `3`" in desk.prompt


def test_an_answer_that_is_cut_off_is_an_error_that_says_what_to_do(desk: Desk) -> None:
    desk.says(ModelReply('{"n": 3', finish="length"))
    with pytest.raises(ModelAnswerInvalid, match="cut off") as caught:
        desk("generate", prompt="Hi", schema={"n": "integer"})
    assert caught.value.help is not None
    assert "max_tokens" in caught.value.help


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "`generate` needs `schema` or `vars`"),
        ({"schema": {"a": "sting"}}, "`schema['a']`: unknown type `sting`"),
        ({"schema": {"a": "string"}, "vars": {"a": "string"}}, "`schema` and `vars` both define"),
    ],
)
def test_a_form_that_is_missing_wrong_or_there_twice_is_refused(desk: Desk, form: Any, said: str) -> None:
    with pytest.raises(StepError) as caught:
        desk("generate", prompt="Hi", **form)
    assert said in caught.value.message
    assert caught.value.help
    assert desk.requests == []


def test_the_fields_of_an_answer_are_known_before_the_run_and_go_before_those_of_the_call(desk: Desk) -> None:
    result = known_type("generate", schema={"cost": "number", "model": "string"})
    assert result.properties.keys() == {"data", "why", "usage"}
    assert describe_type(result.properties["data"]) == "an object with `cost`, `model`"
    desk.says('{"cost": 3, "model": "T"}')
    called = desk("generate", prompt="Hi", schema={"cost": "number", "model": "string"})
    assert called.keys() == result.properties.keys()


@pytest.mark.parametrize("constants", [{}, {"schema": {"a": "sting"}}, {"schema": "{{ x }}"}])
def test_of_a_form_that_is_not_known_yet_nothing_is_said(constants: Any) -> None:
    result = known_type("generate", **constants)
    assert not result.closed
    assert describe_type(result.properties["data"]) == "any value"


# --- chat


def test_a_conversation_goes_on_with_what_it_returns(desk: Desk) -> None:
    first = desk.says("Which day?")(
        "chat",
        messages=[{"role": "system", "content": "You are a guide."}, {"role": "user", "content": "When is high tide?"}],
    )
    assert first["reply"] == "Which day?"
    second = desk.says("At noon.")("chat", messages=first["messages"], prompt="Sunday.")
    assert desk.request.system == "You are a guide."
    assert [(said.role, said.content) for said in desk.request.messages] == [
        ("user", "When is high tide?"),
        ("assistant", "Which day?"),
        ("user", "Sunday."),
    ]
    assert [each["role"] for each in second["messages"]] == ["system", "user", "assistant", "user", "assistant"]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "does not end with a user message"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "does not end with a user message"),
        ([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}, {"role": "user", "content": "c"}], "2"),
        ([{"role": "robot", "content": "a"}], "must be one of `system`, `user`, `assistant`"),
        ([{"role": "user"}], "has no field `content`"),
    ],
)
def test_a_conversation_that_is_none_is_refused(desk: Desk, messages: Any, said: str) -> None:
    with pytest.raises(StepError, match=said):
        desk("chat", messages=messages)


# --- analyze_text, classify, extract


def test_an_analysis_answers_its_instruction_from_the_text(desk: Desk) -> None:
    result = desk.says("It claims X.")("analyze_text", text="BODY", instruction="What is claimed?")
    assert result["analysis"] == "It claims X."
    assert desk.prompt == "What is claimed?\n\n<text>\nBODY\n</text>"


def test_a_text_gets_one_of_the_labels(desk: Desk) -> None:
    desk.says('{"reason": "It says so.", "label": "billing"}')
    labels = {"billing": "invoices", "other": None}
    result = desk("classify", text="My invoice", labels=labels, reason=True)
    assert (result["label"], result["reason"]) == ("billing", "It says so.")
    assert desk.request.schema is not None
    assert desk.request.schema["properties"]["label"]["enum"] == ["billing", "other"]
    assert "- billing: invoices\n- other" in desk.prompt


def test_a_text_may_get_several_labels_or_none(desk: Desk) -> None:
    desk.says('{"labels": ["b", "a", "b"]}')
    assert desk("classify", text="t", labels=["a", "b"], multiple=True)["label"] == ["b", "a"]
    desk.says('{"labels": []}')
    assert desk("classify", text="t", labels=["a", "b"], multiple=True)["label"] == []


def test_a_label_that_is_none_of_them_is_not_taken(desk: Desk) -> None:
    with pytest.raises(ModelAnswerInvalid, match="must be one of `a`, `b`, not the string `c`"):
        desk.says('{"label": "c"}')("classify", text="t", labels=["a", "b"])


@pytest.mark.parametrize(
    ("labels", "said"),
    [([], "no labels"), ({}, "no labels"), (["a", "b", "a"], "has the label `a` twice"), ({"a": 3}, "describes `?the")],
)
def test_labels_that_make_no_sense_are_refused_before_the_run_and_in_it(desk: Desk, labels: Any, said: str) -> None:
    found = check_parameter(TOOL.actions["classify"].parameters["labels"], labels)
    assert found is not None
    assert re.search(said, found)
    with pytest.raises(StepError, match=said):
        desk("classify", text="t", labels=labels)


def test_the_labels_are_known_before_the_run() -> None:
    one = known_type("classify", labels=["a", "b"], multiple=False)
    assert describe_type(one.properties["label"]) == "one of `a`, `b`"
    several = known_type("classify", labels={"a": "x", "b": "y"}, multiple=True)
    assert several.properties["label"].items == one.properties["label"]
    either = known_type("classify", labels=["a", "b"])
    assert describe_type(either.properties["label"]) == "one of `a`, `b` or a list of strings"


def test_data_are_read_out_of_a_text(desk: Desk) -> None:
    desk.says('{"total": 3.5}')
    result = desk("extract", text="Total: 3.50", schema={"total": "number", "due": "date?"})
    assert result["data"] == {"total": 3.5, "due": None}
    assert "<text>\nTotal: 3.50\n</text>" in desk.prompt
    assert (
        describe_type(known_type("extract", schema={"total": "number"}).properties["data"]) == "an object with `total`"
    )


@pytest.mark.parametrize("where", [{}, {"text": "a", "file": "b"}])
def test_data_are_in_one_place(desk: Desk, where: Any) -> None:
    with pytest.raises(StepError, match="needs one of `text` and `file`"):
        desk("extract", schema={"a": "string"}, **where)


# --- embed


def test_one_text_has_a_vector_and_several_have_a_list_of_them(desk: Desk) -> None:
    assert desk("embed", text="abc", model=SMALL)["embedding"] == [3.0]
    result = desk("embed", texts=["a", "abc"], model=SMALL)
    assert (result["embedding"], result["dimensions"]) == ([[1.0], [3.0]], 1)


def test_many_texts_go_in_batches_to_the_model_that_made_the_first(desk: Desk) -> None:
    result = desk("embed", texts=["x" * n for n in range(1, 301)], model=[SMALL, "google:gemini-embedding-001"])
    assert result["embedding"] == [[float(n)] for n in range(1, 301)]
    assert result["usage"]["requests"] == len(desk.client.asked) == 4
    assert {name for name, _, _ in desk.client.asked} == {SMALL}


def test_no_texts_need_no_call(desk: Desk) -> None:
    result = desk("embed", texts=[])
    assert (result["embedding"], result["model"], result["cost"]) == ([], "", 0)
    assert desk.client.asked == []


@pytest.mark.parametrize(
    ("wrong", "said"), [({}, "one of"), ({"text": "a", "texts": []}, "one of"), ({"texts": ["a", " "]}, "text 2 of 2")]
)
def test_what_has_no_vector_is_refused(desk: Desk, wrong: Any, said: str) -> None:
    with pytest.raises(StepError, match=said):
        desk("embed", **wrong)


# --- names


def test_an_action_needs_no_tool() -> None:
    registry = model_tools()
    assert registry.resolve(None, "generate_text") == registry.resolve("model", "generate_text")
    assert registry.resolve(None, "generate_structured") == registry.resolve(None, "model.generate")
    wrong = registry.resolve(None, "generate_txt")
    assert isinstance(wrong, Unresolved)
    assert (wrong.code, wrong.candidates) == ("ORC401", ("audio", "image", "model"))
    assert "generate_text" in wrong.actions


def test_a_tool_of_ones_own_goes_before_an_action_of_the_same_name() -> None:
    @tool(name="chat")
    def own(text: str) -> str:
        return text

    found = (model_tools() | Registry([to_tool(own)])).resolve(None, "chat")
    assert not isinstance(found, Unresolved)
    assert found[0].name == "chat"
