"""What a step writes of the models that it may ask, as a `ModelChoice`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypedDict

from orchestrator.config.vocabulary import CAPABILITIES
from orchestrator.diagnostics import suggest
from orchestrator.models.calls.gateway import ModelChoice, Requirements, Selection
from orchestrator.models.catalog.entries import MODALITIES
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MODALITIES: Final = ("text", *MODALITIES.values())
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([mbt]?)\s*", re.IGNORECASE)
_TIMES: Final = {"": 1.0, "b": 1.0, "m": 1e-3, "t": 1e3}
_TOKENS: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([km]?)\s*", re.IGNORECASE)


class Required(TypedDict, total=False):
    """What a model must be. Lists may be single words; sizes are in billions of parameters, or texts such as `7B`.

    `context` in tokens, or a text such as `128k`; `max_cost` in USD per million tokens of output.
    """

    capabilities: str | list[str]
    modalities: str | list[str]
    expertise: str | list[str]
    providers: str | list[str]
    context: int | str
    max_cost: float
    min_size: float | str
    max_size: float | str


def choice_of(
    model: str | Sequence[str] | None = None,
    requires_model: Mapping[str, Any] | None = None,
    selection: Selection | None = None,
) -> ModelChoice:
    """Return which models may answer, from the keys of a step. `selection` alone chooses among all available models.

    Raises:
        ValueError: The requirements are invalid; the message names the problem and the fix.
    """
    written = (model,) if isinstance(model, str) else tuple(model or ())
    names = tuple(name for name in written if name.strip())
    if requires_model is not None:
        return ModelChoice(names, requirements_of(requires_model), selection or "balanced")
    return ModelChoice(names, Requirements() if selection and not names else None, selection or "balanced")


def requirements_of(written: Mapping[str, Any]) -> Requirements:
    """Return the requirements that are written as in `requires_model`.

    Raises:
        ValueError: A value is unknown or invalid; the message names it and the valid ones.
    """
    max_cost = written.get("max_cost")
    if max_cost is not None and max_cost < 0:
        raise ValueError("`max_cost` is less than 0")
    least, most = _size(written, "min_size"), _size(written, "max_size")
    if least is not None and most is not None and least > most:
        raise ValueError(f"`min_size` ({least:g}) is more than `max_size` ({most:g})")
    return Requirements(
        capabilities=_words(written, "capabilities", CAPABILITIES),
        modalities=_words(written, "modalities", _MODALITIES),
        expertise=_words(written, "expertise"),
        providers=tuple(_list(written.get("providers"))),
        context=_tokens(written),
        max_cost=max_cost,
        min_size=least,
        max_size=most,
    )


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _words(written: Mapping[str, Any], key: str, known: Sequence[str] = ()) -> frozenset[str]:
    words = _list(written.get(key))
    for word in words:
        if known and word not in known:
            near = suggest(word, known)
            said = f"did you mean `{near}`?" if near else f"there are {quoted_list(known)}"
            raise ValueError(f"unknown value `{word}` of `{key}`; {said}")
    return frozenset(words)


def _size(written: Mapping[str, Any], key: str) -> float | None:
    value = written.get(key)
    if not isinstance(value, str):
        return None if value is None else float(value)
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError(f"`{key}` is `{value}`, not a size; write billions of parameters: `7`, or `7B`")
    return float(found[1]) * _TIMES[found[2].lower()]


def _tokens(written: Mapping[str, Any]) -> int | None:
    value = written.get("context")
    if not isinstance(value, str):
        return None if value is None else int(value)
    found = _TOKENS.fullmatch(value)
    if found is None:
        raise ValueError(f"`context` is `{value}`, not a number of tokens; write `128000`, or `128k`")
    return int(float(found[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[found[2].lower()])
