"""The action that makes vectors of texts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, TypedDict

from msgspec.structs import replace

from orchestrator.errors import ModelAnswerInvalid
from orchestrator.models.actions.action_call import ActionCall, embedding_action_call, model_action, run_together
from orchestrator.models.actions.parameters import invalid_parameter
from orchestrator.text.tokens import tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.models.calls.gateway import ModelChoice

_MOST_TEXTS: Final = 96
_MOST_TOKENS: Final = 12_000
"""What goes into one request: less than any provider allows (Mistral takes 16,384 tokens, Google 100 texts)."""

_AT_ONCE: Final = 4


class Embedded(TypedDict):
    """The vector of `text`, or the list of those of `texts`, in their order. `dimensions` is how long each is."""

    embedding: Annotated[list[float] | list[list[float]], "The vector of the text; for `texts`, a list of vectors."]
    dimensions: Annotated[int, "The length of a vector."]


async def embed(
    call: ActionCall,
    text: Annotated[str | None, "One text."] = None,
    texts: Annotated[list[str] | None, "Several texts; requests are sent in batches."] = None,
) -> Embedded:
    """Make vectors of texts: texts that mean similar things have vectors that point to similar directions.

    Example:
        - id: vectors
          action: embed
          model: openai:text-embedding-3-small
          texts: ["The tide is high.", "The sea has risen."]
    """
    if (text is None) == (texts is None):
        raise invalid_parameter("`embed` needs one of `text` and `texts`", "give one of them")
    wanted = [text] if text is not None else texts or []
    for number, each in enumerate(wanted, start=1):
        if not each.strip():
            raise invalid_parameter(f"text {number} of {len(wanted)} is empty, and has no vector", "leave it out")
    vectors = await _vectors(call, wanted)
    lengths = {len(vector) for vector in vectors}
    if len(vectors) != len(wanted) or len(lengths) > 1:
        message = f"{len(vectors)} vectors of {len(lengths)} different lengths were returned for {len(wanted)} texts"
        raise ModelAnswerInvalid(message, model=str(call.answers[-1].model), retryable=False)
    dimensions = len(vectors[0]) if vectors else 0
    return {"embedding": vectors[0] if text is not None else vectors, "dimensions": dimensions}


async def _vectors(call: ActionCall, texts: Sequence[str]) -> list[list[float]]:
    batches = list(_batches(texts))
    if not batches:
        return []
    final = len(batches) == 1
    made = [await _made(call, call.choice, batches[0], final=final)]
    # Vectors of different models cannot be compared, so one model makes all of them.
    same = replace(call.choice, models=(str(call.answers[0].model),), requires=None)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def of(batch: list[str]) -> list[list[float]]:
        async with turns:
            return await _made(call, same, batch, final=final)

    made += await run_together(of(batch) for batch in batches[1:])
    return [vector for batch in made for vector in batch]


async def _made(call: ActionCall, choice: ModelChoice, texts: list[str], *, final: bool) -> list[list[float]]:
    vectors, answer = await call.gateway.embed(choice, texts, final=final)
    call.answers.append(answer)
    return [list(vector) for vector in vectors.vectors]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    tokens = 0
    for text in texts:
        length = tokens_of(text)
        if batch and (len(batch) >= _MOST_TEXTS or tokens + length > _MOST_TOKENS):
            yield batch
            batch, tokens = [], 0
        batch.append(text)
        tokens += length
    if batch:
        yield batch


EMBED = model_action(
    embed, primary="embedding", one_of=("text", "texts"), common=embedding_action_call, makes="embeddings"
)
