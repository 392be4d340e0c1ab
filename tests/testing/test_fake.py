"""A FakeModel answers what a test says."""

import asyncio
import re
from collections.abc import Iterator

import jsonschema
import pytest

from orchestrator.errors import ModelAnswerInvalid, ModelRateLimited, ModelRefused, StepError
from orchestrator.models.clients.fake import Asked, FakeModel
from orchestrator.models.messages import Message, ModelName, ModelReply, ModelRequest, ToolRequest, current_step

GPT = ModelName("openai", "gpt-5")
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "number", "minimum": 3}},
    "required": ["title", "score"],
}


def ask(fake: FakeModel, prompt: str = "Hello there", step: str = "", **settings: object) -> ModelReply:
    async def asked() -> ModelReply:
        current_step.set(step)
        return await fake.ask(GPT, ModelRequest((Message("user", prompt),), **settings))  # type: ignore[arg-type]

    return asyncio.run(asked())


def test_one_answer_is_given_each_time() -> None:
    fake = FakeModel("Hi")
    assert [ask(fake).text, ask(fake, "Again").text] == ["Hi", "Hi"]
    assert fake.prompts == ["Hello there", "Again"]


def test_a_list_is_given_in_order_and_then_there_is_no_more() -> None:
    fake = FakeModel({"draft": ["one", "two"]})
    assert [ask(fake, step="draft").text for _ in range(2)] == ["one", "two"]
    with pytest.raises(StepError, match="step `draft` makes another request, but its script has 2 answers"):
        ask(fake, step="draft")


def test_a_step_is_found_by_its_path_then_without_numbers_then_by_what_is_said() -> None:
    fake = FakeModel({"all[1].draft": "the second", "all.draft": "any", re.compile("[Ww]eather"): "rain"})
    assert ask(fake, step="all[1].draft").text == "the second"
    assert ask(fake, step="all[0].draft").text == "any"
    assert ask(fake, "How is the weather?", step="other").text == "rain"
    assert [asked.step for asked in fake.of("all.draft")] == ["all[1].draft", "all[0].draft"]
    assert fake.unused == []


def test_the_path_of_an_agent_means_what_it_asks_in_its_turns() -> None:
    fake = FakeModel({"agent": ["one", "two"], "all.agent[1].answer": "not this", "all[2].agent": "third"})
    assert [ask(fake, step=f"agent[{turn}].answer").text for turn in range(2)] == ["one", "two"]
    assert ask(fake, step="all[2].agent[1].answer").text == "third"
    assert [asked.step for asked in fake.of("agent")] == ["agent[0].answer", "agent[1].answer"]


def test_what_nobody_asked_for_is_unused() -> None:
    fake = FakeModel({"draft": "x", re.compile("never"): "y"})
    ask(fake, step="draft")
    assert fake.unused == ["never"]


def test_a_function_answers_what_it_makes_of_the_request() -> None:
    def answer(asked: Asked) -> str:
        return f"{asked.step} of {asked.model}: {asked.prompt.upper()}"

    assert ask(FakeModel(answer), step="draft").text == "draft of openai:gpt-5: HELLO THERE"


def test_errors_are_raised_in_their_order() -> None:
    fake = FakeModel([ModelRateLimited("slowly"), ModelRefused("no"), "at last"])
    with pytest.raises(ModelRateLimited):
        ask(fake)
    with pytest.raises(ModelRefused):
        ask(fake)
    assert ask(fake).text == "at last"


def test_data_answers_a_schema_and_so_does_a_text_that_is_json() -> None:
    fake = FakeModel([{"title": "A", "score": 4}, '{"title": "B", "score": 5}', "no JSON"])
    first, second = ask(fake, schema=SCHEMA), ask(fake, schema=SCHEMA)
    assert (first.data, first.text) == ({"title": "A", "score": 4}, '{"title": "A", "score": 4}')
    assert second.data == {"title": "B", "score": 5}
    with pytest.raises(ModelAnswerInvalid):
        ask(fake, schema=SCHEMA)


def test_a_request_for_a_tool_is_an_answer() -> None:
    wanted = ToolRequest("1", "search", {"query": "sun"})
    reply = ask(FakeModel([wanted]))
    assert (reply.requests, reply.finish) == ((wanted,), "tools")


def test_what_is_not_scripted_is_a_sample_that_satisfies_the_schema() -> None:
    fake = FakeModel({"draft": "x"})
    reply = ask(fake, step="other", schema=SCHEMA)
    jsonschema.validate(reply.data, SCHEMA)
    assert reply == ask(fake, step="other", schema=SCHEMA)
    assert ask(fake, "Write about the sun").text == "An answer to: Write about the sun"


def test_it_may_echo_or_refuse_what_is_not_scripted() -> None:
    assert ask(FakeModel(otherwise="echo"), "Say this").text == "Say this"
    with pytest.raises(StepError, match="no answer is scripted for step `draft`"):
        ask(FakeModel(otherwise="fail"), step="draft")


def test_text_streams_in_pieces_that_are_the_whole() -> None:
    async def streamed() -> Iterator[str]:
        pieces: list[str] = []
        reply = await FakeModel(" two  words\n").ask(GPT, ModelRequest((Message("user", "x"),)), on_text=pieces.append)
        assert "".join(pieces) == reply.text
        return iter(pieces)

    assert len(list(asyncio.run(streamed()))) > 1


def test_vectors_are_near_where_texts_share_words() -> None:
    vectors = asyncio.run(FakeModel().embed(GPT, ["the red car", "a red car", "quantum physics"])).vectors

    def near(a: tuple[float, ...], b: tuple[float, ...]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert near(vectors[0], vectors[1]) > near(vectors[0], vectors[2])
    assert near(vectors[0], vectors[0]) == pytest.approx(1, abs=1e-5)


def test_usage_is_counted_in_words() -> None:
    usage = ask(FakeModel("three words here"), "two words", system="be kind").usage
    assert (usage.input, usage.output, usage.requests) == (4, 3, 1)


def test_the_value_is_enough_where_data_with_one_field_is_asked_for() -> None:
    schema = {"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}, "required": ["label"]}
    reply = ask(FakeModel("good"), schema=schema)
    assert (reply.data, reply.text) == ({"label": "good"}, '{"label": "good"}')
