"""Weights in a folder, run in this process by `transformers`. Imported with the first call only: torch takes seconds.

Only weights of the form safetensors are read, nothing is fetched, and no code out of the folder is run.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

import torch
from msgspec import Struct
from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteriaList
from transformers.utils import logging

from orchestrator.models.messages import Finish
from orchestrator.models.output.texts import file_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from orchestrator.models.messages import Message, ModelRequest

_ONE_AT_A_TIME: Final = threading.Lock()
"""torch has one random generator per process, so a seed repeats an answer only without concurrent draws."""

_INCOMPLETE: Final = "\N{REPLACEMENT CHARACTER}"
_BYTES_OF_A_CHARACTER: Final = 4
_WITHOUT_LIMIT: Final = 4096
"""Tokens of an answer if neither the request nor the model sets a limit."""


class Weights(Struct, frozen=True):
    """A model that is loaded, with its tokens."""

    model: Any
    tokenizer: Any


class GeneratedTokens(Struct, frozen=True):
    """What the weights have answered, with the numbers of tokens read and written."""

    text: str
    finish: Finish
    read: int
    written: int


class TooLong(Exception):
    """The question alone is longer than what the model can read; both in tokens."""

    def __init__(self, tokens: int, most: int) -> None:
        super().__init__(tokens, most)
        self.tokens = tokens
        self.most = most


class CannotRead(Exception):
    """The request contains something other than text; `media_type` is its type."""

    def __init__(self, media_type: str) -> None:
        super().__init__(media_type)
        self.media_type = media_type


def load(folder: Path) -> Weights:
    """Load what is in a folder, as `save_pretrained` writes it. Raises whatever `transformers` raises."""
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype="auto")
    model.eval()
    return Weights(model.to("cuda") if torch.cuda.is_available() else model, tokenizer)


def generate(
    weights: Weights, request: ModelRequest, say: Callable[[str], None] | None, ended: threading.Event
) -> GeneratedTokens:
    """Answer a request, and give each piece of the answer to `say`; stop at the next token once `ended` is set.

    Raises:
        TooLong: The model cannot read that much.
        CannotRead: The request holds something else than text.
    """
    model, tokenizer = weights.model, weights.tokenizer
    inputs = _tokens(tokenizer, request).to(model.device)
    read = int(inputs["input_ids"].shape[1])
    most = getattr(model.config, "max_position_embeddings", None)
    if most is not None and read >= most:
        raise TooLong(read, most)
    room = _WITHOUT_LIMIT if most is None else most - read
    limit = min(request.max_tokens or model.generation_config.max_new_tokens or room, room)
    with _ONE_AT_A_TIME, torch.random.fork_rng(), torch.inference_mode():
        if request.seed is None:
            torch.seed()
        else:
            torch.manual_seed(request.seed)
        listener = _Listener(tokenizer, read, request.stop, say, ended)
        output = model.generate(
            **inputs,
            **_chance(request.temperature),
            max_new_tokens=limit,
            stopping_criteria=StoppingCriteriaList([listener]),
        )
    written = int(output.shape[1]) - read
    ends = model.generation_config.eos_token_id
    natural = int(output[0, -1]) in (ends if isinstance(ends, list) else [ends])
    complete = natural or listener.stopped or written < limit
    return GeneratedTokens(listener.finished(), "stop" if complete else "length", read, written)


def _chance(temperature: float | None) -> dict[str, Any]:
    """Return how tokens are drawn; without a temperature it is as the folder's own settings say."""
    if temperature is None:
        return {}
    if temperature == 0:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    return {"do_sample": True, "temperature": float(temperature)}


class _Listener:
    """Decides after each token whether to stop, and passes the decoded text to the caller."""

    def __init__(
        self,
        tokenizer: Any,
        begins: int,
        stop: Sequence[str],
        say: Callable[[str], None] | None,
        ended: threading.Event,
    ) -> None:
        self._tokenizer = tokenizer
        self._begins = begins
        self._stop = stop
        self._say = say
        self._ended = ended
        self._tokens: list[int] = []
        # Tokens are read together with those before them: at the start of a text, some lose their space.
        self._from = self._to = 0
        self._text = ""
        self._said = 0
        self.stopped = False

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        self._tokens += input_ids[0, self._begins + len(self._tokens) :].tolist()
        self._take(self._more(at_end=False))
        done = self._ended.is_set() or self.stopped
        return torch.full((input_ids.shape[0],), done, dtype=torch.bool, device=input_ids.device)

    def finished(self) -> str:
        """Say what was held back, and return the whole text."""
        if not self.stopped:
            self._take(self._more(at_end=True))
        self._say_until(len(self._text))
        return self._text

    def _more(self, *, at_end: bool) -> str:
        """Return the text of the tokens since the last time; nothing while a character is not complete."""
        before = self._decoded(self._from, self._to)
        now = self._decoded(self._from, len(self._tokens))
        waits = now.endswith(_INCOMPLETE) and len(self._tokens) - self._to < _BYTES_OF_A_CHARACTER
        if waits and not at_end:
            return ""
        self._from, self._to = self._to, len(self._tokens)
        return now[len(before) :]

    def _decoded(self, first: int, last: int) -> str:
        text: str = self._tokenizer.decode(self._tokens[first:last], skip_special_tokens=True)
        return text

    def _take(self, text: str) -> None:
        begin = len(self._text)
        self._text += text
        found = [at for stop in self._stop if (at := self._text.find(stop, max(0, begin - len(stop)))) >= 0]
        if found:
            self.stopped = True
            self._text = self._text[: min(found)]
        # What may become a text to stop at is not said yet.
        held = max((_overlap(self._text, stop) for stop in self._stop), default=0)
        self._say_until(len(self._text) - (0 if self.stopped else held))

    def _say_until(self, end: int) -> None:
        if end > self._said:
            if self._say is not None and not self._ended.is_set():
                self._say(self._text[self._said : end])
            self._said = end


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of a text may be the beginning of `stop`."""
    return next((length for length in range(len(stop) - 1, 0, -1) if text.endswith(stop[:length])), 0)


# --- the question


def _tokens(tokenizer: Any, request: ModelRequest) -> Any:
    system, turns = _system(request), _turns(request.messages)
    if not tokenizer.chat_template:
        return tokenizer(_plain(system, turns), return_tensors="pt", return_token_type_ids=False)
    return tokenizer.apply_chat_template(
        _conversation(tokenizer, system, turns), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )


def _conversation(tokenizer: Any, system: str, turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the messages for a template; some templates take no system message, so it goes before the first."""
    if not system:
        return turns
    whole = [{"role": "system", "content": system}, *turns]
    try:
        tokenizer.apply_chat_template(whole, tokenize=False)
    except Exception:  # the template is a program by the model's maker, with errors of any type
        return [{**turns[0], "content": f"{system}\n\n{turns[0]['content']}"}, *turns[1:]]
    return whole


def _plain(system: str, turns: list[dict[str, str]]) -> str:
    """Return the messages as one text, for a model without a template."""
    if len(turns) == 1:
        said = turns[0]["content"]
    else:
        said = "\n".join(f"{each['role'].capitalize()}: {each['content']}" for each in turns) + "\nAssistant:"
    return f"{system}\n\n{said}" if system else said


def _system(request: ModelRequest) -> str:
    if request.schema is None:
        return request.system
    form = json.dumps(request.schema, ensure_ascii=False)
    return f"{request.system}\n\nAnswer with JSON alone, of the form of this JSON Schema:\n{form}".strip()


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return the messages in the two roles that all templates know, which take turns as most of them want."""
    turns: list[dict[str, str]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        words = _words(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{words}"
        else:
            turns.append({"role": role, "content": words})
    return turns


def _words(message: Message) -> str:
    parts = (message.content,) if isinstance(message.content, str) else message.content
    words: list[str] = []
    for part in parts:
        text = part if isinstance(part, str) else file_in_words(part)
        if text is None:
            raise CannotRead(part.media_type if not isinstance(part, str) else "")
        words.append(text)
    return "\n\n".join(words)
