"""The limits of expressions. They hold for every template and value, so no template can stall a run."""

from orchestrator.text.json_text import MAX_DIGITS

MAX_TEXT = 10_000_000
"""Characters in any text that an evaluation creates, including its result."""

MAX_LOOKUP = 100_000_000
"""Characters in the texts of a list or object that an evaluation only looks up, such as the result of a step."""

MAX_ITEMS = 1_000_000
"""Items in any list that an evaluation creates, and values inside a nested list."""

MAX_STEPS = 1_000_000
"""Iterations of all loops in one evaluation; a long text or list counts as several."""

MAX_SECONDS = 30.0
"""CPU time of the loops in one evaluation: a safety net, as the other limits are the same on every machine."""

MAX_RANGE = 100_000
"""Numbers in one `range`."""

MAX_LOOP_RANGE = 10_000_000
"""Numbers in the `range` of a `for_each`."""

RANGE_HELP = "use a smaller range, or repeat steps until a condition holds with `while` or `until`"
"""How to fix a range that is too large."""

TOO_LARGE_INTEGER = 10**MAX_DIGITS
"""The least integer that is too large, as for all JSON that is read."""

MAX_NESTING = 100
"""Nesting levels of brackets, operators and blocks in a template."""

MAX_DEPTH = 200
"""Nesting levels of a value that is compared or rendered."""

MAX_TEMPLATE = 2_000_000
"""Characters in a text that contains template syntax."""


def range_count(start: int, stop: int, step: int) -> int:
    """Return the number of items in a range of any size; `len` fails from 2**63 on."""
    return max(0, -((start - stop) // step))


def range_problem() -> str:
    """Return the message for a loop range that is too large, without the number, which may have hundreds of digits."""
    return f"the range of this `for_each` has more than {MAX_LOOP_RANGE:,} numbers"
