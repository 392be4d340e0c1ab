import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ModelAnswerInvalid, ModelUnavailable, StepError
from orchestrator.models.calls.gateway import Feedback
from orchestrator.models.calls.token_estimate import prompt_tokens
from orchestrator.models.messages import Embeddings, ModelName, ModelReply, ModelRequest, Usage
from orchestrator.text.tokens import tokens_of
from tests.models.acting import Desk

SMALL = "tiny:small"
SETTINGS = """
[servers.tiny]
base_url = "http://127.0.0.1:1/v1"

[models."tiny:small"]
context_window = 2000
"""
TEXT = "\n\n".join(
    f"Paragraph {number} tells of the tide on day {number}. " + "The sea rose. " * 20 for number in range(60)
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "orchestrator.toml").write_text(SETTINGS)
    return Desk(tmp_path)


@dataclass
class Reader:
    """A `ModelClient` that answers with the numbers of the paragraphs it has seen, and keeps count of what is asked."""

    requests: list[ModelRequest] = field(default_factory=list)
    streamed: int = 0
    under_way: int = 0
    most: int = 0
    answer: Callable[[str], str] = lambda said: " ".join(dict.fromkeys(re.findall(r"#?\d+", said)))

    async def ask(self, name: ModelName, request: ModelRequest, *, on_text: Any = None) -> ModelReply:
        self.requests.append(request)
        self.streamed += on_text is not None
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        said = re.search(r"<text>\n(.*)\n</text>", str(request.messages[-1].content), re.DOTALL)
        assert said is not None
        return ModelReply(self.answer(said[1]), usage=Usage(prompt_tokens(request), 5, requests=1), model="small")

    async def embed(self, name: ModelName, texts: Any) -> Embeddings:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


def test_a_text_that_fits_is_read_at_once(desk: Desk) -> None:
    reader = Reader()
    result = desk("summarize", text="Day 1.", model=SMALL, client=reader)
    assert (result["summary"], result["parts"], result["truncated"]) == ("1", 1, False)
    assert len(reader.requests) == reader.streamed == 1


def test_a_longer_text_is_read_in_parts_of_which_none_is_lost_and_none_too_long(desk: Desk) -> None:
    reader = Reader()
    result = desk("summarize", text=TEXT, model=SMALL, client=reader)
    assert result["summary"].split() == [str(number) for number in range(60)]
    assert result["parts"] > 3
    assert len(reader.requests) == result["usage"]["requests"] == result["parts"] + 1
    assert all(prompt_tokens(request) + (request.max_tokens or 0) < 2000 for request in reader.requests)
    assert f"part 1 of {result['parts']}" in str(reader.requests[0].messages[0].content)


def test_parts_are_read_side_by_side_but_not_too_many_at_once_and_do_not_stream(desk: Desk) -> None:
    reader = Reader()
    desk("summarize", text=TEXT, model=SMALL, client=reader)
    assert 1 < reader.most <= 4
    assert reader.streamed == 1
    assert desk.context is not None
    assert desk.context.reports[-1][1].startswith(f"{len(reader.requests) - 1} of")


def test_what_is_still_too_long_is_summarised_again_however_often_it_takes(desk: Desk) -> None:
    reader = Reader(answer=lambda said: said[: int(len(said) * 0.6)])
    result = desk("summarize", text="tide " * 20_000, model=SMALL, chunk_tokens=200, client=reader)
    assert len(reader.requests) > 2 * result["parts"]
    assert tokens_of(result["summary"]) <= 200


def test_a_model_that_makes_nothing_shorter_does_not_go_on_for_ever(desk: Desk) -> None:
    with pytest.raises(ModelAnswerInvalid, match="not shorter than the text") as caught:
        desk("summarize", text=TEXT, model=SMALL, client=Reader(answer=lambda said: said))
    assert not caught.value.retryable


def test_when_one_part_fails_the_others_are_given_up(desk: Desk) -> None:
    def answer(said: str) -> str:
        raise ModelUnavailable("down", status=503)

    reader = Reader(answer=answer)
    with pytest.raises(ModelUnavailable):
        desk("summarize", text=TEXT * 10, model=SMALL, client=reader)
    assert len(reader.requests) < 10
    assert reader.under_way == 0


def test_a_summary_is_as_its_parameters_say(desk: Desk) -> None:
    desk("summarize", text="T", style="bullets", length="short", focus="The tide.")
    assert "begins with `- `" in desk.prompt
    assert "What matters: The tide." in desk.prompt
    desk("summarize", text="T", max_words=30)
    assert "Use 30 words at most." in desk.prompt


LONG, SHORT = "The tide rises - twice a day.", "Twice a day."
LIMITED = {"text": "T", "max_words": 3}


def warnings(desk: Desk) -> list[str]:
    assert desk.context is not None
    return [message for level, message in desk.context.lines if level == "warning"]


def test_a_summary_with_too_many_words_is_asked_for_once_more(desk: Desk) -> None:
    result = desk.says(LONG, SHORT)("summarize", **LIMITED)
    assert (result["summary"], result["words"], result["usage"]["requests"]) == (SHORT, 3, 2)
    assert [message.content for message in desk.request.messages[1:]] == [
        LONG,
        "That has 6 words. Write it again with 3 words at most. Give the summary alone.",
    ]
    assert warnings(desk) == []
    assert desk.says(SHORT)("summarize", **LIMITED)["usage"]["requests"] == 1


@pytest.mark.parametrize(
    "second", [LONG, LONG + " Always.", "", ModelReply("It", finish="length"), ModelUnavailable("x")]
)
def test_too_many_words_are_no_reason_to_fail(desk: Desk, second: Any) -> None:
    result = desk.says(LONG, second)("summarize", **LIMITED)
    assert (result["summary"], result["words"], result["truncated"]) == (LONG, 6, False)
    assert warnings(desk)[-1] == "the summary has 6 words, and `max_words` is 3"


def test_what_a_check_has_said_is_heard_before_fewer_words_are_asked_for(desk: Desk) -> None:
    desk.host.feedback = (Feedback("A tide.", ("it does not say how often",)),)
    desk.says(LONG, SHORT)("summarize", **LIMITED)
    first, second = ([message.role for message in request.messages] for request in desk.requests)
    assert first == second == ["user", "assistant", "user"]
    assert "it does not say how often" in str(desk.requests[0].messages[-1].content)
    assert desk.request.messages[1].content == LONG


def test_a_file_is_summarised(desk: Desk) -> None:
    (desk.directory / "book.txt").write_text("\ufeffDay 7.", encoding="utf-8")
    assert desk("summarize", file="book.txt", model=SMALL, client=Reader())["summary"] == "7"
    (desk.directory / "book.bin").write_bytes(b"\xff\xff")
    with pytest.raises(StepError, match="not UTF-8 text"):
        desk("summarize", file="book.bin")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "needs one of"),
        ({"text": "a", "file": "b"}, "needs one of"),
        ({"text": " \n"}, "is empty"),
        ({"text": "a", "max_words": 0}, "must be at least 1"),
        ({"text": "a", "chunk_tokens": 10}, "must be at least 50"),
        (
            {"text": "a", "model": SMALL, "max_tokens": 1900},
            "reads 2,000 tokens, of which instructions and answer need",
        ),
    ],
)
def test_what_cannot_be_summarised_is_refused(desk: Desk, wrong: Any, said: str) -> None:
    with pytest.raises(StepError, match=said):
        desk("summarize", **wrong)
    assert desk.requests == []
