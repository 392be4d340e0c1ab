"""Judgements of a run's outputs by a model."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from orchestrator.evaluation.adhoc_models import AdhocModels
from orchestrator.history.quality import Judgement
from orchestrator.models.actions.prompts import judgement
from orchestrator.models.calls.judge import opinion_of, request_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.journal.state.usage import Spending
    from orchestrator.models.calls.judge import Opinion
    from orchestrator.runtime import ModelServices

RUBRIC: Final = (
    "It fulfils its purpose. It is correct, complete and consistent in itself; it is clearly written and well formed; "
    "it contains no placeholder, and nothing in it is cut off."
)
"""The criteria for an output, unless others are given."""

_MOST: Final = 60_000  # characters of one output
_AT_ONCE: Final = 4


async def judge_outputs(
    services: ModelServices, models: Sequence[str], outputs: Mapping[str, Any], *, rubric: str = "", purpose: str = ""
) -> tuple[tuple[Judgement, ...], str, Spending]:
    """Return a judgement of each output, the model that judged, and the spending.

    `purpose` describes what the outputs are for; `rubric` replaces the criteria of `RUBRIC`.

    Raises:
        ModelError: No model returned a usable answer.
    """
    adhoc = AdhocModels(services, models)
    told = "\n".join([f"This output belongs to the following: {purpose}" if purpose else "", rubric or RUBRIC]).strip()
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str, value: Any) -> tuple[Judgement, str]:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        if len(text) > _MOST:
            text = f"{text[:_MOST]}\n[the first {_MOST:,} of {len(text):,} characters]"
        prompt = judgement(text, f"{told}\nThe output is called `{name}`.")
        async with places:
            answer = await adhoc.ask(request_of(prompt), opinion_of)
        said: Opinion = answer.value
        return Judgement(name, said.score, said.reason, said.suggestions), str(answer.model)

    found = await asyncio.gather(*(one(name, value) for name, value in outputs.items()))
    return tuple(each for each, _ in found), ", ".join(dict.fromkeys(model for _, model in found)), adhoc.spending
