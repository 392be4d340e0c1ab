"""What is recorded is played again, by content; what was never recorded is told with what differs."""

import asyncio
import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.errors import ConfigurationError, ModelRateLimited, ModelRefused, RecordingMissing
from orchestrator.models.clients.fake import FakeModel
from orchestrator.models.messages import (
    Embeddings,
    Media,
    Message,
    ModelClient,
    ModelName,
    ModelReply,
    ModelRequest,
    ToolOffer,
    ToolRequest,
    Usage,
    current_step,
)
from orchestrator.models.recordings.clients import RecordingClient, ReplayClient, remove_others
from orchestrator.remedies import StartRun
from orchestrator.runtime.values.redaction import Redactor

GPT, CLAUDE = ModelName("openai", "gpt-5"), ModelName("anthropic", "claude-5")


def said(prompt: str, **more: Any) -> ModelRequest:
    return ModelRequest((Message("user", prompt),), **more)


def ask(client: ModelClient, request: ModelRequest, name: ModelName = GPT, step: str = "draft") -> ModelReply:
    async def asked() -> ModelReply:
        current_step.set(step)
        return await client.ask(name, request)

    return asyncio.run(asked())


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# --- a request and its answer, as anything that they may be

json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["|", "a", "text"]), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=5), json_data, max_size=3)
asked_tools = st.builds(ToolRequest, st.text(max_size=5), st.text(max_size=5), objects)
parts = st.text() | st.builds(Media, st.binary(max_size=20), st.just("image/png"), st.text(max_size=5))
messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "tool"]),
    st.text() | st.lists(parts, max_size=3).map(tuple),
    st.lists(asked_tools, max_size=2).map(tuple),
    st.text(max_size=5),
    st.text(max_size=5),
)
requests = st.builds(
    ModelRequest,
    st.lists(messages, max_size=3).map(tuple),
    st.text(),
    st.none() | objects,
    st.lists(st.builds(ToolOffer, st.text(), st.text(), objects), max_size=2).map(tuple),
    st.none() | st.floats(0, 2),
    st.none() | st.integers(1, 100),
)
usages = st.builds(Usage, *[st.integers(0, 9)] * 5)
replies = st.builds(
    ModelReply,
    st.text(),
    json_data,
    st.lists(asked_tools, max_size=2).map(tuple),
    usages,
    st.sampled_from(["stop", "length", "tools", "refused", "other"]),
    st.text(max_size=5),
    st.sampled_from([0.0, 0.25, 3.125]),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(requests, replies)
def test_a_replay_answers_exactly_what_was_recorded(
    tmp_path_factory: pytest.TempPathFactory, request_: ModelRequest, reply: ModelReply
) -> None:
    directory = tmp_path_factory.mktemp("recordings")
    ask(RecordingClient(FakeModel([reply]), directory), request_)
    assert ask(ReplayClient(directory), request_) == reply


def test_a_recording_reads_well(tmp_path: Path) -> None:
    reply = ModelReply("First.\nSecond.", usage=Usage(5, 3, requests=1), model="gpt-5-2026", latency=0.8125)
    recorder = RecordingClient(FakeModel([reply]), tmp_path / "recordings")
    ask(recorder, said("Write\ntwo lines", system="Be brief", temperature=0.5, timeout=9))
    (path,) = (tmp_path / "recordings").iterdir()
    assert path.read_text() == dedent(
        """\
        {
          "step": "draft",
          "request": {
            "model": "openai:gpt-5",
            "system": "Be brief",
            "messages": [
              {
                "role": "user",
                "content": {
                  "|": [
                    "Write",
                    "two lines"
                  ]
                }
              }
            ],
            "temperature": 0.5
          },
          "reply": {
            "text": {
              "|": [
                "First.",
                "Second."
              ]
            },
            "finish": "stop",
            "model": "gpt-5-2026",
            "usage": {
              "input": 5,
              "output": 3,
              "requests": 1
            },
            "latency": 0.812
          }
        }
        """
    )


def test_equal_requests_are_answered_in_their_order_and_the_last_answer_stays(tmp_path: Path) -> None:
    recorder = RecordingClient(FakeModel(["one", "two"]), tmp_path)
    for _ in range(2):
        ask(recorder, said("Again"))
    names = files(tmp_path)
    assert names[0].removesuffix("-2.json") == names[1].removesuffix(".json")
    replay = ReplayClient(tmp_path)
    assert [ask(replay, said("Again")).text for _ in range(3)] == ["one", "two", "two"]
    assert replay.used == set(names)


def test_recording_anew_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    recorder = RecordingClient(FakeModel(["one", "two", "else"]), tmp_path)
    for prompt in ("Again", "Again", "Else"):
        ask(recorder, said(prompt))
    anew = RecordingClient(FakeModel(["new"]), tmp_path)
    ask(anew, said("Again"))
    assert [ask(ReplayClient(tmp_path), said(prompt)).text for prompt in ("Again", "Else")] == ["new", "else"]
    anew.remove_stale()
    assert len(files(tmp_path)) == 2
    assert len(remove_others(tmp_path, anew.written)) == 1
    assert set(files(tmp_path)) == anew.written


def test_an_error_that_passed_is_not_kept_and_one_that_stays_is_raised_again(tmp_path: Path) -> None:
    refused = ModelRefused("no", provider="openai", model="gpt-5", status=400, help="ask else")
    recorder = RecordingClient(FakeModel([ModelRateLimited("slowly"), "at last", refused]), tmp_path)
    with pytest.raises(ModelRateLimited):
        ask(recorder, said("One"))
    ask(recorder, said("One"))
    with pytest.raises(ModelRefused):
        ask(recorder, said("Two"))
    replay = ReplayClient(tmp_path)
    assert ask(replay, said("One")).text == "at last"
    with pytest.raises(ModelRefused) as caught:
        ask(replay, said("Two"))
    assert {**vars(caught.value), "reply": None} == {**vars(refused), "reply": None}


def test_vectors_are_recorded_to_the_last_digit(tmp_path: Path) -> None:
    vectors = ((0.1, -1e-9, 1 / 3), (2.0, 3.5, 0.0))
    fake = FakeModel(lambda _: vectors)
    made = asyncio.run(RecordingClient(fake, tmp_path).embed(GPT, ["a", "b"]))
    played: Embeddings = asyncio.run(ReplayClient(tmp_path).embed(GPT, ["a", "b"]))
    assert played == made
    assert played.vectors == vectors
    with pytest.raises(RecordingMissing, match=r"text 2: \[-b-\]\{\+c\+\}"):
        asyncio.run(ReplayClient(tmp_path).embed(GPT, ["a", "c"]))


def test_secrets_are_in_no_file_and_a_replay_needs_other_ones_or_the_same(tmp_path: Path) -> None:
    def scrub(secret: str) -> Redactor:
        return Redactor({"token": secret}, "recorded")

    secret = "s3cr3t\nkey"
    recorder = RecordingClient(FakeModel([f"you said {secret}"]), tmp_path, scrub=scrub(secret).scrub)
    ask(recorder, said(f"Use {secret}"))
    (path,) = tmp_path.iterdir()
    assert "s3cr3t" not in path.read_text()
    assert "[redacted:token#recorded]" in path.read_text()
    for other in (secret, "another"):
        ask(ReplayClient(tmp_path, scrub=scrub(other).scrub), said(f"Use {other}"))


def test_a_miss_names_the_nearest_recording_and_the_words_that_differ(tmp_path: Path) -> None:
    recorder = RecordingClient(FakeModel(["1", "2"]), tmp_path)
    ask(recorder, said("Write a report about solar cells, in plain words, for children", temperature=0.2))
    ask(recorder, said("Count the moons of Jupiter"), step="other")
    with pytest.raises(RecordingMissing) as caught:
        ask(ReplayClient(tmp_path), said("Write a report about wind power, in plain words, for children"), CLAUDE)
    error = caught.value
    assert error.code == "ORC730"
    assert not error.retryable
    assert error.difference == (
        "model: [-openai:gpt-5-]{+anthropic:claude-5+}",
        "message 1 (user): Write a report about [-solar cells-]{+wind power+}, in plain words, for …",
        "temperature: [-0.2-]",
    )
    assert error.nearest in files(tmp_path)
    assert json.loads((tmp_path / error.nearest).read_text())["step"] == "draft"
    assert error.help == "an intended change needs new recordings"
    assert error.remedies == (StartRun(record=str(tmp_path)),)


def test_a_miss_in_an_empty_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordingMissing, match="it has none"):
        ask(ReplayClient(tmp_path), said("x"))


@settings(max_examples=100)
@given(requests, requests)
def test_whatever_differs_is_told(first: ModelRequest, second: ModelRequest) -> None:
    from orchestrator.models.recordings.diff import difference
    from orchestrator.models.recordings.format import request_data

    before, after = request_data(GPT, first), request_data(GPT, second)
    assert bool(difference(before, after)) == (before != after)


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        ReplayClient(tmp_path / "nowhere")
    (tmp_path / "x.json").write_text('{"request": {}}')
    with pytest.raises(ConfigurationError, match=r"x\.json: it is not a recording"):
        ReplayClient(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ("[]", "it is not a recording"),
        ('{"request": {}, "reply": {"text": "x"}}', "it has no 'model'"),
        ('{"request": {"model": 5}, "reply": {"text": "x"}}', "its model is not a text"),
        ('{"request": {"model": "m", "messages": ["x"]}, "reply": {"text": "x"}}', "its `messages` are not"),
        ('{"request": {"model": "m"}, "reply": {"text": 5}}', "its text is not a text"),
        ('{"request": {"model": "m"}, "reply": {"text": "x", "usage": {"input": "x"}}}', "`input`, is not an integer"),
        (
            '{"request": {"model": "m"}, "reply": {"text": "x", "usage": {"input": -5}}}',
            "`input`, is less than nothing",
        ),
        (
            '{"request": {"model": "m"}, "reply": {"text": "x", "tools": [{"id": "1", "name": "t", "arguments": 3}]}}',
            "what a tool is given is not an object",
        ),
        ('{"request": {"model": "m"}, "error": {"type": "ModelError", "message": 5}}', "its error is not a text"),
    ],
)
def test_a_recording_that_was_edited_wrongly_is_named_before_anything_runs(
    tmp_path: Path, wrong: str, reason: str
) -> None:
    (tmp_path / "x.json").write_text(wrong)
    with pytest.raises(ConfigurationError, match=r"x\.json: it is not a recording") as raised:
        ReplayClient(tmp_path)
    assert reason in raised.value.message


def test_what_cannot_be_recorded_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="recordings cannot be written: file exists"):
        RecordingClient(FakeModel(), tmp_path / "file")


def test_a_step_that_names_no_model_gets_the_one_that_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = {
        "steps": [
            {"id": "cheap", "prompt": "One", "requires_model": {"max_cost": 50}, "selection": "cost"},
            {"id": "auto", "prompt": "Two"},
        ],
        "outputs": {"models": ["{{ cheap.model }}", "{{ auto.model }}"]},
    }
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    monkeypatch.setenv("MISTRAL_API_KEY", "not-a-real-key")
    recorder = RecordingClient(FakeModel(), tmp_path / "rec")
    with orc.Orchestrator(store=f"sqlite:///{tmp_path}/a.db", directory=tmp_path, models=recorder) as client:
        recorded = client.compile(pipeline).run().outputs["models"]
    monkeypatch.delenv("MISTRAL_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key")
    replay = ReplayClient(tmp_path / "rec")
    with orc.Orchestrator(store=f"sqlite:///{tmp_path}/b.db", directory=tmp_path, models=replay) as client:
        assert client.compile(pipeline).run().outputs["models"][0] == recorded[0]
