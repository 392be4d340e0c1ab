"""The labels of runs: the words by which they are found, and which of them a pipeline cannot choose."""

from __future__ import annotations

from typing import Final

LONGEST_LABEL: Final = 100
"""The maximum number of characters of a label."""

MOST_LABELS: Final = 50
"""How many labels a file or a request can give to a run."""

OF_HOSTS: Final = "orchestrator:"
"""How the labels begin by which a host recognizes its runs."""

OF_PARENT: Final = "parent:"
"""How the label of a run begins that a step of another run has started; the id of that run follows."""

_RESERVED: Final = (OF_HOSTS, OF_PARENT, "trigger:", "instant:")


def reserved_beginning(label: str) -> str | None:
    """Return the beginning of a label that only a host or a step may give to runs, None if it has none."""
    return next((word for word in _RESERVED if label.startswith(word)), None)


def label_problem(label: str) -> str | None:
    """Return why a text cannot be a label of a pipeline's runs, None if it can."""
    if not label.strip():
        return "it is empty"
    if len(label) > LONGEST_LABEL:
        return f"it has {len(label):,} characters, and a label has at most {LONGEST_LABEL}"
    beginning = reserved_beginning(label)
    return f"labels that begin with `{beginning}` are reserved" if beginning is not None else None
