"""The action that summarises texts of any length: what is too long for the model is read in parts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypedDict

from msgspec import Struct

from orchestrator.errors import ModelAnswerInvalid, ModelError
from orchestrator.models.actions import prompts
from orchestrator.models.actions.action_call import ActionCall, ask, is_cut, model_action, run_together
from orchestrator.models.actions.attachments import checks_files, no_urls, read_text
from orchestrator.models.actions.parameters import at_least, invalid_parameter
from orchestrator.models.messages import Message
from orchestrator.text.token_chunks import chunks
from orchestrator.text.tokens import tokens_of

if TYPE_CHECKING:
    from orchestrator.models.calls.gateway import ModelAnswer
    from orchestrator.models.catalog.entries import ModelCard

_UNKNOWN_WINDOW: Final = 8_192
"""Tokens that a model is taken to read where nothing is known of it."""

_SAFE: Final = 0.8
"""The share of the context window that is used: a text can have more tokens than its size suggests."""

_LEAST_ROOM: Final = 200
_AT_ONCE: Final = 4
_SHORTER: Final = 4
"""A part's summary has at most a fourth of its tokens, so each round makes the text shorter."""

_ANSWER: Final = {"short": 300, "medium": 600, "long": 1_200}
"""Tokens to keep free for the answer."""


class Summary(TypedDict):
    """The summary. `parts` is in how many parts the text was read, `truncated` whether the summary is cut off.

    `words` is how many it has.
    """

    summary: Annotated[str, "The summary."]
    words: Annotated[int, "The number of its words."]
    parts: Annotated[int, "The number of parts in which the text was read."]
    truncated: Annotated[bool, "Whether the summary is cut off."]


class _SummaryRequest(Struct, frozen=True):
    style: str
    length: str
    max_words: int | None
    focus: str

    def prompt(self, text: str, part: tuple[int, int] | None = None, words: int | None = None) -> prompts.Prompt:
        return prompts.summary(
            text,
            style=self.style,
            length=self.length,
            max_words=self.max_words if part is None else words,
            focus=self.focus,
            part=part,
        )


async def summarize(
    call: ActionCall,
    text: Annotated[str | None, "The text, of any length."] = None,
    file: Annotated[str | None, "The text file to summarize, instead of `text`."] = None,
    style: Annotated[Literal["paragraph", "bullets", "headline"], "The style of the summary."] = "paragraph",
    length: Annotated[
        Literal["short", "medium", "long"], "The length of the summary, unless `max_words` is set."
    ] = "medium",
    max_words: Annotated[int | None, "The maximum number of words; a longer summary is requested once more."] = None,
    focus: Annotated[str, "The question that the summary should answer."] = "",
    chunk_tokens: Annotated[
        int | None, "The maximum number of tokens to read at once; default: the limit of the model."
    ] = None,
) -> Summary:
    """Summarise a text. One that is longer than what the model reads is cut into parts between its paragraphs.

    The parts are summarised side by side, then their summaries, until all fits.

    Example:
        - id: gist
          action: summarize
          model: auto
          file: book.txt
          style: bullets
          length: short
    """
    if (text is None) == (file is None):
        raise invalid_parameter("`summarize` needs one of `text` and `file`", "give one of them")
    left = text if text is not None else await read_text(call.context, file or "")
    if not left.strip():
        raise invalid_parameter("the text to summarize is empty", "guard the step with `condition:`")
    wanted = _SummaryRequest(style, length, max_words, focus)
    room = _room(call, await call.gateway.card(call.choice), wanted, chunk_tokens)
    read = 0
    while room is not None and tokens_of(left) > room:
        parts = chunks(left, room)
        read = read or len(parts)
        shorter = await _shortened(call, parts, wanted, room)
        if tokens_of(shorter) >= tokens_of(left):
            raise _no_shorter(call)
        left = shorter
    prompt = wanted.prompt(left)
    answer = await _within(call, prompt, await ask(call, prompt.text, system=prompt.system), max_words)
    summary = answer.reply.text.strip()
    return {
        "summary": summary,
        "words": _words(summary),
        "parts": read or 1,
        "truncated": is_cut(call, answer),
    }


async def _within(call: ActionCall, prompt: prompts.Prompt, answer: ModelAnswer, max_words: int | None) -> ModelAnswer:
    """Return the answer, or if it has too many words the one to a second request, where that has fewer.

    Too many words are not an error: the shortest summary is returned, with a warning in the log.
    """
    if max_words is None or _words(answer.reply.text) <= max_words or answer.reply.finish == "length":
        return answer
    answer = await _shorter(call, prompt, answer, max_words)
    if (words := _words(answer.reply.text)) > max_words:
        call.context.log(f"the summary has {words} words, and `max_words` is {max_words}", "warning")
    return answer


async def _shorter(call: ActionCall, prompt: prompts.Prompt, answer: ModelAnswer, max_words: int) -> ModelAnswer:
    """Ask once more, and return the shorter of the two answers."""
    words = _words(answer.reply.text)
    said = (
        Message("user", prompt.text),
        Message("assistant", answer.reply.text),
        Message("user", prompts.shorter(words, max_words)),
    )
    try:
        again = await ask(call, said, system=prompt.system, final=False)
    except ModelError as error:
        call.context.log(f"no shorter summary was returned: {error.message}", "warning")
        return answer
    return again if again.reply.finish == "stop" and 0 < _words(again.reply.text) < words else answer


def _words(text: str) -> int:
    """Count the words, without bullets and other signs between them."""
    return sum(any(character.isalnum() for character in word) for word in text.split())


def _room(call: ActionCall, card: ModelCard | None, wanted: _SummaryRequest, chunk_tokens: int | None) -> int | None:
    """Return how many tokens of a text can be read at once; None: any number."""
    window = card.context_window if card is not None else None
    if window is None:
        window = _UNKNOWN_WINDOW
    prompt = wanted.prompt("", part=(1000, 1000), words=1000)
    told = tokens_of(prompt.text) + tokens_of(prompt.system) + tokens_of(call.system)
    answer = call.max_tokens or max(_ANSWER[wanted.length], 2 * (wanted.max_words or 0))
    room = int((window - told - answer) * _SAFE)
    if room < _LEAST_ROOM:
        model = f"`{card.name}`" if card is not None else "the model"
        raise invalid_parameter(
            f"{model} reads {window:,} tokens, of which instructions and answer need {told + answer:,}",
            "give a smaller `max_tokens`, or name a model that reads more",
        )
    return min(room, chunk_tokens) if chunk_tokens is not None else room


async def _shortened(call: ActionCall, parts: list[str], wanted: _SummaryRequest, room: int) -> str:
    """Summarise each part, some at a time, and put the summaries together in their order."""
    most = max(room // _SHORTER, 1)
    turns = asyncio.Semaphore(_AT_ONCE)
    done = 0

    async def shortened(number: int, part: str) -> str:
        nonlocal done
        async with turns:
            prompt = wanted.prompt(part, part=(number, len(parts)), words=max(most // 2, 1))
            answer = await ask(call, prompt.text, system=prompt.system, final=False, max_tokens=most)
        done += 1
        call.context.progress(done / (len(parts) + 1), f"{done} of {len(parts)} parts")
        return answer.reply.text.strip()

    return "\n\n".join(await run_together(shortened(number, part) for number, part in enumerate(parts, start=1)))


def _no_shorter(call: ActionCall) -> ModelAnswerInvalid:
    model = call.answers[-1].model
    return ModelAnswerInvalid(
        "the summaries of the parts are not shorter than the text",
        provider=model.provider,
        model=model.model,
        help="name a model that follows instructions, or one that reads the whole text at once",
        retryable=False,
    )


SUMMARIZE = model_action(
    summarize,
    primary="summary",
    refusal=checks_files("file"),
    reads=("file",),
    one_of=("text", "file"),
    converts={"file": no_urls, "max_words": at_least(1), "chunk_tokens": at_least(50)},
)
