"""What a call by an older name of a tool or an action means, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field

STEP_KINDS: Final = ("ask", "approve", "pipeline")
"""The kinds of steps that replace tools of the older dialect."""


class OlderCall(Struct, frozen=True):
    """What calls by an older name mean.

    Attributes:
        meaning: The tool and the action, such as `terminal.execute`, or one of `STEP_KINDS`.
        actions: The older names of the action; "" is a step without an action.
        parameters: The older names of parameters, each with its name here.
        results: The older names of the fields of the result, each with its name here; "" is the value of the step.
        constants: Parameters that differ from the defaults here, because the older tool worked like this.
        ignored: Parameters that have no equivalent, with the values that describe what happens anyway.
        when: Parameters, by their names here, with the values that they must have for this meaning; None is a missing
            parameter, `...` any value that is present.
        instead: Parameters that have no equivalent, with what to write instead.
        words: Values of parameters, by the parameter's name here, each with the parameter and the value that it means.
        told: Parameters that become a further sentence of the `prompt` or `system`: each with the name
            of that text. `PROSE` tells it all that is not a parameter of the call.
        headings: `title` and `sections`, where they become headings of a text: each with the name of that text.
        without_effect: Parameters that change nothing here, with what happens instead; each is a warning.
        computed: Fields of the result that are expressions here; `STEP` in them is the id of the step.
        replaces: Whether it also applies if an action with the older name exists, which then needs other parameters.
    """

    meaning: str
    actions: tuple[str, ...] = ("",)
    parameters: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    ignored: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, tuple[str, Any]]] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    headings: Mapping[str, str] = field(default_factory=dict)
    without_effect: Mapping[str, str] = field(default_factory=dict)
    computed: Mapping[str, str] = field(default_factory=dict)
    replaces: bool = False


def named(name: str, *others: str) -> dict[str, str]:
    """Return several older names of one parameter or field."""
    return dict.fromkeys(others, name)
