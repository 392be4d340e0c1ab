"""Custom tools: typed functions. The checker knows their parameters and the fields of their results.

orchestrator tools --tools examples/tools.py census
orchestrator run examples/census.yaml --tools examples/tools.py
orchestrator run examples/parcels.yaml --tools examples/tools.py      (there a model calls `postage`)
"""

import asyncio
from collections import Counter
from typing import Annotated, TypedDict

import orchestrator as orc


class Census(TypedDict):
    """The words of a text."""

    words: int
    different: int
    most_common: list[str]


@orc.tool
async def census(
    text: Annotated[str, "The text to count."],
    context: orc.ToolContext,
    ignore: Annotated[list[str] | None, "Words that do not count."] = None,
    top: Annotated[int, "How many of the most common words to name."] = 5,
) -> Census:
    """Count the words of a text, and report progress while doing so."""
    ignored = {word.casefold() for word in ignore or ()}
    counts: Counter[str] = Counter()
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        words = (word.strip(".,;:!?-()\"'").casefold() for word in line.split())
        counts.update(word for word in words if word and word not in ignored)
        context.progress(number / len(lines), f"line {number} of {len(lines)}")
        await asyncio.sleep(0)  # lets other steps run
    return {
        "words": counts.total(),
        "different": len(counts),
        "most_common": [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]],
    }


@orc.tool
def unreliable(text: str, context: orc.ToolContext, fails: int = 1) -> str:
    """Stand in for a service that answers only after it has failed `fails` times."""
    if context.attempt <= fails:
        raise orc.StepError(f"the service is busy ({context.attempt} of {fails})", help="wait, and try again")
    return text


_PRICES = {"AT": 5.2, "CH": 17.5, "DE": 14.0}
"""EUR for a parcel of up to 2 kg, sent from Austria."""


@orc.tool
def postage(
    country: Annotated[str, "The country's code of two letters, such as AT."],
    weight: Annotated[float, "In kg."],
) -> float:
    """Return what it costs to send a parcel, in EUR."""
    if country not in _PRICES:
        raise orc.StepError(f"no parcels are sent to `{country}`", help=f"there are prices for {', '.join(_PRICES)}")
    if not 0 < weight <= 31.5:
        raise orc.StepError(f"a parcel of {weight:g} kg is not carried", help="31.5 kg is the most")
    return round(_PRICES[country] + 0.9 * max(0.0, weight - 2), 2)
