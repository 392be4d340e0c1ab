"""The model that is none: rules that summarise, classify and extract, for trying a pipeline where nothing else is.

It is deterministic, needs no key, network or package, answers in milliseconds, and understands nothing.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Final

from orchestrator.errors import ModelMissing
from orchestrator.models import reading
from orchestrator.models.catalog.names import OFFLINE
from orchestrator.models.filling import fill
from orchestrator.models.messages import Embeddings, Message, ModelName, ModelReply, ModelRequest, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BLOCK: Final = re.compile(
    r"^<(?P<tag>text|document|input|content|article|data|source|passage)>\s*(.*?)\s*</(?P=tag)>|```\w*\n(.*?)```|"
    r"\"\"\"(.*?)\"\"\"",
    re.DOTALL | re.MULTILINE,
)
_ASKS: Final = re.compile(
    r"\s*(please |now )?(analy[sz]e|answer|assign|categori[sz]e|choose|classify|decide|describe|determine|extract|find|"
    r"generate|give|label|list|make|read|rewrite|say|sort|summari[sz]e|tell|translate|what|which|who|write|you are)\b",
    re.IGNORECASE,
)
_LABELS: Final = re.compile(
    r"(?:one|any) of(?: these| the following)?(?: labels| categories)?:?\s*([^\n.]+)", re.IGNORECASE
)
_COUNTS: Final = {"one": 1, "a": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_PATTERNS: Final = (
    (re.compile(r"e-?mails?\b", re.IGNORECASE), reading.EMAIL),
    (re.compile(r"\b(urls?|links?|websites?)\b", re.IGNORECASE), reading.URL),
    (re.compile(r"\bdates?\b", re.IGNORECASE), reading.DATE),
    (re.compile(r"\b(phone|telephone)\b", re.IGNORECASE), reading.PHONE),
    (re.compile(r"\b(prices?|amounts?|costs?)\b", re.IGNORECASE), reading.MONEY),
    (re.compile(r"\bnumbers?\b", re.IGNORECASE), reading.NUMBER),
    (re.compile(r"\b(names?|people|persons?|companies|organi[sz]ations?)\b", re.IGNORECASE), reading.NAME),
)


class OfflineClient:
    """A `ModelClient` for `offline`. Its replies name `offline` as their model; usage is counted in words."""

    auto = OFFLINE
    """What answers for `auto`, where it answers for all models."""

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """Answer by rules. A schema is satisfied; tools are not used, and images and files are not looked at.

        Raises:
            ModelAnswerInvalid: The rules can make nothing that satisfies the schema.
        """
        begun = time.perf_counter()
        instruction, text = _read(request)
        data = None
        if request.schema is not None:
            data = fill(request.schema, text, instruction)
            answer = json.dumps(data, ensure_ascii=False)
        else:
            answer = _answer(instruction, text)
        words = re.findall(r"\S+\s*", answer)
        cut = request.schema is None and request.max_tokens is not None and len(words) > request.max_tokens
        if cut:
            words = words[: request.max_tokens]
            answer = "".join(words).rstrip()
        if on_text is not None:
            for word in words:
                on_text(word)
        return ModelReply(
            answer,
            data=data,
            usage=Usage(input=_count(request), output=len(words), requests=1),
            finish="length" if cut else "stop",
            model="offline",
            latency=time.perf_counter() - begun,
        )

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        """Refuse: what a text means cannot be had by rules.

        Raises:
            ModelMissing: Always.
        """
        raise ModelMissing(
            "`offline` is no language model, and makes no embeddings",
            provider="offline",
            model="offline",
            help="name a model that does, such as `openai:text-embedding-3-small` or one of a running Ollama",
        )

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


def _words_of(message: Message) -> str:
    content = message.content
    return content if isinstance(content, str) else "\n\n".join(part for part in content if isinstance(part, str))


def _count(request: ModelRequest) -> int:
    return sum(len(text.split()) for text in (request.system, *map(_words_of, request.messages)))


def _read(request: ModelRequest) -> tuple[str, str]:
    """Return what is asked and the text that it is asked of, as far as their form tells them apart."""
    said = next((_words_of(message) for message in reversed(request.messages) if message.role != "assistant"), "")
    asked, text = _parts(said.strip())
    return f"{request.system}\n{asked}".strip(), text


def _parts(said: str) -> tuple[str, str]:
    block = _BLOCK.search(said)
    if block:
        text = next(part for part in block.groups()[1:] if part is not None)
        return said[: block.start()] + said[block.end() :], text
    first, _, rest = said.partition("\n")
    if rest.strip() and (first.rstrip().endswith(":") or _ASKS.match(first)):
        return first, rest.strip()
    before, colon, rest = first.partition(": ")
    if colon and _ASKS.match(before) and len(rest.split()) > 2:
        return before, said[len(before) + 2 :]
    return (said, said) if _ASKS.match(said) else ("", said)


def _answer(instruction: str, text: str) -> str:
    """Answer without a schema: a label, what is to be listed, else the sentences that matter most."""
    listed = _LABELS.search(instruction)
    if listed:
        labels = [label for part in re.split(r",|;|\bor\b", listed[1]) if (label := part.strip(" `'\"*[]()"))]
        if len(labels) > 1:
            return reading.best_label(labels, text, instruction)
    if re.search(r"\b(extract|list|find)\b", instruction, re.IGNORECASE):
        for asked, pattern in _PATTERNS:
            if asked.search(instruction):
                return "\n".join(reading.all_of(pattern, text))
        if re.search(r"\bkey ?words?|topics?|tags?\b", instruction, re.IGNORECASE):
            return ", ".join(reading.keywords(text))
    wanted = re.search(r"\b(one|a|single|two|three|four|five|\d+)[ -]sentences?\b", instruction, re.IGNORECASE)
    count = (_COUNTS.get(wanted[1].lower()) or int(wanted[1])) if wanted else 3
    return reading.summary(text, count=count)
