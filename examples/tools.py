"""Tools of one's own: typed functions. The checker knows their parameters and the fields of their results.

orchestrator tools --tools examples/tools.py census
orchestrator run examples/census.yaml --tools examples/tools.py
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
        await asyncio.sleep(0)  # lets other steps go on
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
