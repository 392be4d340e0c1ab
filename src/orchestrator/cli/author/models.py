"""`models`: the known models, their prices and capabilities, and whether they can be used here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import common
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.models.catalog.entries import Catalogue, ModelCard
    from orchestrator.models.catalog.keys import Keys
    from orchestrator.models.catalog.probe import Probe
    from orchestrator.models.catalog.providers import Provider
    from orchestrator.models.messages import ModelName


_ANY = "other models of a provider can be named, too"
_HOW_TO_SEE = f"--ping lists what a provider has, and {_ANY}"


def models(
    provider: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Only this provider, server of orchestrator.toml, or model."),
    ] = None,
    capability: Annotated[
        list[str] | None,
        typer.Option("--capability", metavar="NAME", help="Only models that can do this, such as vision. Repeatable."),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Also show deprecated models and all providers.")] = False,
    ping: Annotated[bool, typer.Option("--ping", help="Query the available providers, and list their models.")] = False,
    pipeline: Annotated[
        Path | None,
        typer.Option("--for", metavar="FILE", help="Show which models a pipeline's steps would call, and why."),
    ] = None,
    tools: common.ToolsOption = None,
    json: common.JsonOption = False,
) -> None:
    """List the known models, with prices and capabilities.

    Prices are in USD per million tokens; `?` means unknown. Other models of a provider can be named, too. Without NAME
    or --all, resellers of other providers' models are shown only if you have their key.
    """
    from orchestrator.cli.author.model_choices import print_model_choices
    from orchestrator.cli.maintain.keys import named
    from orchestrator.cli.terminal.output import emit, emit_json, say
    from orchestrator.config.project_file import project_directory
    from orchestrator.forecast.model_choices import missing_access
    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.catalog.keys import Keys

    if pipeline is not None:
        print_model_choices(pipeline, tools, json=json)
        return
    catalogue, keys = Catalogue.load(project_directory()), Keys.load()
    wanted = _capabilities(capability or ())
    model = _model(provider, catalogue) if provider else None
    if provider:
        chosen = [catalogue.providers[model.provider] if model else named(provider, catalogue.providers)]
    else:
        chosen = list(catalogue.providers.values())
    state = {each.name: missing_access(each, keys) for each in chosen}
    shown = [each for each in chosen if provider or all or each.maker or not each.prices or not state[each.name]]
    probes = _ping(shown, keys, state) if ping else {}
    cards = [card for each in shown for card in _cards(catalogue, each, probes.get(each.name))]
    if model is not None:
        cards = [card for card in (catalogue.find(model),) if card is not None]
    kept = [
        card for card in cards if wanted <= card.capabilities and (all or provider is not None or not card.deprecated)
    ]
    if json:
        emit_json(
            {
                "catalogue": catalogue.version,
                "providers": [_provider_object(each, keys, state[each.name], probes.get(each.name)) for each in shown],
                "models": [_card_object(card, state[card.name.provider]) for card in kept],
            }
        )
        return
    if kept:
        emit(_table(kept, state))
    for probe in probes.values():
        said = f"answered in {probe.seconds:.2f} s" if probe.ok else probe.problem
        say(f"{probe.provider}: {said}", "" if probe.ok else "yellow")
    hidden = [each.name for each in chosen if each not in shown]
    if hidden:
        say(f"more with --all, or with one of these: {', '.join(hidden)}", "dim")
    if not kept:
        say(f"no known model matches; {_HOW_TO_SEE if provider and not ping else _ANY}")


def _model(text: str, catalogue: "Catalogue") -> "ModelName | None":
    """Return the model that a text names; None if it names a provider."""
    from orchestrator.errors import ConfigurationError
    from orchestrator.models.catalog.names import parse_model_name, provider_named
    from orchestrator.models.messages import ModelName

    if provider_named(text, catalogue.providers) is not None:
        return None
    found = parse_model_name(text, catalogue)
    if isinstance(found, ModelName):
        return found
    if found.suggestion is not None:
        raise ConfigurationError(found.message, help=found.help, remedies=found.remedies)
    return None


def _capabilities(names: "Sequence[str]") -> frozenset[str]:
    from orchestrator.config.vocabulary import CAPABILITIES
    from orchestrator.diagnostics import suggest
    from orchestrator.errors import ConfigurationError

    for name in names:
        if name not in CAPABILITIES:
            near = suggest(name, CAPABILITIES)
            listed = f"expected one of {quoted_list(CAPABILITIES)}"
            help = f"did you mean `--capability {near}`?" if near else listed
            raise ConfigurationError(f"unknown capability `{name}`", help=help)
    return frozenset(names)


def _ping(providers: "Sequence[Provider]", keys: "Keys", state: "Mapping[str, str]") -> "dict[str, Probe]":
    import asyncio

    from orchestrator.models.catalog.probe import probe_all

    asked = [each for each in providers if each.name != "transformers" and "no key" not in state[each.name]]
    return {probe.provider: probe for probe in asyncio.run(probe_all(asked, keys))}


def _cards(catalogue: "Catalogue", provider: "Provider", probe: "Probe | None") -> "list[ModelCard]":
    """Return the known models of a provider, and those that a custom server lists."""
    from orchestrator.models.messages import ModelName

    known = catalogue.cards(provider.name)
    named = {card.name.model for card in known}
    listed = probe.models if probe is not None and provider.free else ()
    found = (catalogue.find(ModelName(provider.name, model)) for model in listed if model not in named)
    return [*known, *(card for card in found if card is not None)]


def _table(cards: "Sequence[ModelCard]", state: "Mapping[str, str]") -> str:
    from orchestrator.cli.terminal.output import table

    rows = [
        (
            str(card.name),
            _tokens(card.context_window),
            _price(card.input_price),
            _price(card.output_price),
            state[card.name.provider] or "yes",
            " ".join(sorted(card.capabilities - {"streaming"})),
        )
        for card in cards
    ]
    return table(("MODEL", "CONTEXT", "INPUT", "OUTPUT", "READY", "CAN"), rows)


def _tokens(count: int | None) -> str:
    if count is None:
        return "?"
    return (
        f"{count / 1_000_000:.3g}M" if count >= 1_000_000 else f"{count / 1000:.0f}k" if count >= 1000 else str(count)
    )


def _price(price: float | None) -> str:
    from orchestrator.models.budget import usd

    if price is None:
        return "?"
    return "free" if price == 0 else usd(price).removeprefix("$")


def _card_object(card: "ModelCard", state: str) -> dict[str, Any]:
    return {
        "model": str(card.name),
        "provider": card.name.provider,
        "context_window": card.context_window,
        "max_output": card.max_output,
        "input_price": card.input_price,
        "cached_price": card.cached_price,
        "output_price": card.output_price,
        "modalities": sorted(card.modalities),
        "capabilities": sorted(card.capabilities),
        "size": card.size,
        "expertise": sorted(card.expertise),
        "quality": card.quality,
        "speed": card.speed,
        "deprecated": card.deprecated,
        "ready": not state,
    }


def _provider_object(provider: "Provider", keys: "Keys", state: str, probe: "Probe | None") -> dict[str, Any]:
    key = keys.find(provider)
    told: dict[str, Any] = {
        "provider": provider.name,
        "title": provider.title,
        "key": key.source if key else None,
        "needs_key": provider.needs_key,
        "installed": "no extra" not in state,
        "ready": not state,
    }
    if probe is not None:
        told["ping"] = {
            "ok": probe.ok,
            "problem": probe.problem,
            "seconds": probe.seconds,
            "models": list(probe.models),
        }
    return told
