"""The bounds of expressions: they hold whatever the template and its values are, so no template can stop a run."""

MAX_TEXT = 10_000_000
"""Characters of any text that an evaluation makes, its result included."""

MAX_ITEMS = 1_000_000
"""Items of any list that an evaluation makes, and values inside of a nested one."""

MAX_STEPS = 1_000_000
"""Passes of all loops of one evaluation together; a long text or list costs more than one."""

MAX_SECONDS = 30.0
"""Processor time of the loops of one evaluation: a net below the other bounds, which hold everywhere alike."""

MAX_RANGE = 100_000
"""Numbers that one `range` gives."""

MAX_LOOP_RANGE = 10_000_000
"""Numbers in the `range` of a `for_each`."""

RANGE_HELP = "use a smaller range, or repeat steps until a condition holds with `while` or `until`"
"""How to fix a range that is too large."""

MAX_INTEGER_BITS = 4_096
"""Size of a computed integer (about 1,200 digits)."""

MAX_NESTING = 100
"""Levels of brackets, operators and blocks in a template."""

MAX_DEPTH = 200
"""Levels of lists and objects in a value that is compared or turned into text."""

MAX_TEMPLATE = 2_000_000
"""Characters of a template that has template syntax in it."""


def range_count(start: int, stop: int, step: int) -> int:
    """Return how many numbers a range has, of any size: `len` takes none from 2**63."""
    return max(0, -((start - stop) // step))


def range_problem() -> str:
    """Say that the range of a loop is too large. The number itself may have hundreds of digits."""
    return f"the range of a `for_each` has at most {MAX_LOOP_RANGE:,} numbers, and this one has more"
