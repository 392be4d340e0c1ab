"""Which models are tried, in which order and why, and which are skipped: nothing here calls any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.errors import ModelMissing
from orchestrator.models.calls.gateway import Requirements
from orchestrator.models.catalog.entries import Catalogue, ModelCard
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.catalog.names import AUTO_MODEL, NameProblem, parse_model_name
from orchestrator.models.clients.endpoints import how_to_give_key, missing_extra
from orchestrator.models.messages import Media, ModelName
from orchestrator.models.selection.default_model import default_model
from orchestrator.models.selection.purposes import Purpose, unmade, what_it_does
from orchestrator.models.selection.rank import requirements_in_words, select, violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.models.calls.gateway import ModelChoice
    from orchestrator.models.messages import ModelRequest
    from orchestrator.models.selection.rank import Picked

MOST_SELECTED: Final = 3
"""How many models that fit requirements are asked, one after another, before a step gives up."""


class AvailableModels(Struct, frozen=True):
    """The available models. `ollama` and `local` are the models of running local servers.

    `anything`: the client needs neither keys nor packages, like a recording; `auto` is its model for `auto`, and
    if `only` has models, no others can answer.
    """

    catalogue: Catalogue
    keys: Keys
    ollama: tuple[str, ...] = ()
    local: tuple[ModelCard, ...] = ()
    anything: bool = False
    auto: ModelName | None = None
    only: frozenset[ModelName] = frozenset()


class Needs(Struct, frozen=True):
    """What a request requires of a model: capabilities, and `context` tokens for the input."""

    purpose: Purpose = "text"
    capabilities: frozenset[str] = frozenset()
    context: int = 0


class Candidate(Struct, frozen=True):
    """A model that may be asked, and why. `named`: the step names it. `problem`: why it is not asked after all."""

    name: ModelName
    why: str
    card: ModelCard | None = None
    named: bool = False
    problem: str = ""


def candidates(choice: ModelChoice, needs: Needs, here: AvailableModels) -> list[Candidate]:
    """Return the models to ask, in order, with those that are left out and the reason; never empty.

    Raises:
        ModelMissing: A name is none, or no available model fits the requirements.
        ConfigurationError: The file of keys cannot be used.
    """
    if choice.models and (needs.purpose == "text" or set(choice.models) != {str(AUTO_MODEL)}):
        found = _named(choice, here)
    elif choice.requires is not None or needs.purpose != "text":
        found = _selected(choice, needs, here)
    else:
        found = [_default(here)]
    requires = choice.requires or Requirements()
    return _without_surprise([_checked(each, requires, needs) for each in found])


def needs_of(request: ModelRequest, context: int = 0) -> Needs:
    """Return what a model must be able to do to answer a request. A schema needs nothing: any can be asked for JSON."""
    media = [part for said in request.messages if not isinstance(said.content, str) for part in said.content]
    wanted = {capability for part in media if isinstance(part, Media) and (capability := _to_read(part.media_type))}
    return Needs("text", frozenset(wanted | ({"tools"} if request.tools else set())), context)


def _to_read(media_type: str) -> str:
    kind = media_type.partition("/")[0]
    if kind == "image":
        return "vision"
    return kind if kind in ("audio", "video") else "files" if media_type == "application/pdf" else ""


def _named(choice: ModelChoice, here: AvailableModels) -> list[Candidate]:
    found: list[Candidate] = []
    no_default: ModelMissing | None = None
    for number, text in enumerate(choice.models, start=1):
        name = parse_model_name(text, here.catalogue)
        if isinstance(name, NameProblem):
            raise name.error()
        if name == AUTO_MODEL:
            try:
                candidate = _default(here)
            except ModelMissing as error:
                no_default = error
                continue
        else:
            candidate = Candidate(name, "", here.catalogue.find(name), named=True)
        place = (
            f"model {number} of {len(choice.models)} in the list" if len(choice.models) > 1 else "named in the pipeline"
        )
        why = f"{place}: {candidate.why}" if candidate.why else place
        if all(each.name != candidate.name for each in found):
            found.append(replace(candidate, why=why))
    if no_default is not None and not found:
        raise no_default
    return found


def _default(here: AvailableModels) -> Candidate:
    if here.auto is not None:
        name, why = here.auto, "the fake model answers for `auto`"
    else:
        name, why = default_model(here.catalogue, here.keys, here.ollama)
    return Candidate(name, f"`auto`: {why}", here.catalogue.find(name))


def _selected(choice: ModelChoice, needs: Needs, here: AvailableModels) -> list[Candidate]:
    requires = choice.requires or Requirements()
    requires = replace(requires, capabilities=requires.capabilities | needs.capabilities)
    selection = choice.selection if choice.requires is not None else "cost"
    known = [*here.local, *here.catalogue.cards()]
    picked = select(_usable(known, here), requires, selection, needs.purpose)
    fitting = [each for each in picked if each.card.context_window is None or each.card.context_window >= needs.context]
    if not fitting and not requirements_in_words(requires) and needs.purpose == "text":
        return [_default(here)]
    if not fitting:
        raise _none_fits(requires, needs, picked, select(known, requires, selection, needs.purpose), here)
    return [Candidate(each.card.name, each.why, each.card) for each in fitting[:MOST_SELECTED]]


def _usable(cards: Iterable[ModelCard], here: AvailableModels) -> list[ModelCard]:
    """Leave out what cannot be asked from here, and what stands twice in the list."""
    ready = {
        provider.name: here.anything or (here.keys.suffices(provider) and missing_extra(provider) is None)
        for provider in here.catalogue.providers.values()
    }
    usable = (card for card in cards if ready[card.name.provider] and (not here.only or card.name in here.only))
    return list({card.name: card for card in usable}.values())


def _none_fits(
    requires: Requirements, needs: Needs, picked: Sequence[Picked], anywhere: Sequence[Picked], here: AvailableModels
) -> ModelMissing:
    what = "fits" if needs.purpose == "text" else what_it_does(needs.purpose)
    told = requirements_in_words(requires)
    message = f"no available model {what}" + (f" ({told})" if told else "")
    if picked:
        longest = max(each.card.context_window or 0 for each in picked)
        return ModelMissing(
            f"{message} and reads {needs.context:,} tokens: the maximum is {longest:,}",
            help="shorten what is asked, or summarize it first",
        )
    for each in anywhere:
        provider = here.catalogue.providers[each.card.name.provider]
        if not here.keys.suffices(provider):
            help, remedy = how_to_give_key(provider)
            return ModelMissing(message, help=f"`{each.card.name}` would fit: {help}", remedies=[remedy])
        if (missing := missing_extra(provider)) is not None:
            help = f"`{each.card.name}` would fit, but its package is not installed"
            return ModelMissing(message, help=help, remedies=missing.remedies)
    named = "name a model with `model`"
    if needs.purpose == "embeddings":
        named += ", for all such steps with `experts: {embed: openai:text-embedding-3-small}`"
    return ModelMissing(
        message, help=f"ask for less, {named}, or describe your model in orchestrator.toml (`[models]`)"
    )


def _checked(candidate: Candidate, requires: Requirements, needs: Needs) -> Candidate:
    """Note what speaks against a model. What is not known of it is taken for granted, but for what it costs."""
    # Nothing is certain about an unknown model.
    card = candidate.card or ModelCard(candidate.name)
    wanted = replace(requires, capabilities=requires.capabilities | needs.capabilities)
    problem = violation(card, wanted, trusting=True) or unmade(card, needs.purpose)
    return replace(candidate, problem=problem)


def _without_surprise(found: list[Candidate]) -> list[Candidate]:
    """Skip models that cost money if the first choice is free, unless they are named: no unexpected costs."""
    if not found or found[0].card is None or not found[0].card.free:
        return found
    note = "it is not free, unlike the first choice: name it to allow it"
    return [
        replace(each, problem=note)
        if not each.problem and not each.named and not (each.card is not None and each.card.free)
        else each
        for each in found
    ]
