"""`keys`: where the key of each provider comes from, and how to store one. No key is ever shown."""

import enum
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.usage_errors import choice_metavar, choice_parser
from orchestrator.config.project_file import project_directory
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.models.catalog.keys import Key, Keys
    from orchestrator.models.catalog.providers import Provider


class Act(enum.StrEnum):
    """What `keys` does."""

    SET = "set"
    LIST = "list"
    CHECK = "check"


def keys(
    act: Annotated[
        Act,
        typer.Argument(metavar=choice_metavar(Act), parser=choice_parser("orchestrator keys", Act), help="What to do."),
    ],
    provider: Annotated[
        str | None, typer.Argument(metavar="PROVIDER", help="A provider, or a server of orchestrator.toml.")
    ] = None,
    json: common.JsonOption = False,
) -> None:
    """Store, list or check the API keys of model providers. No key is ever shown.

    `set` reads the key from stdin, or prompts for it without echo, and stores it in `~/.orchestrator/.env`, which only
    you can read. `list` shows the source of each key; the environment takes precedence. `check` requests the list of
    models of each provider, which costs nothing.

    Exit code: 0, or 1 if a checked key does not work.
    """
    from orchestrator.errors import ConfigurationError
    from orchestrator.models.catalog.keys import Keys
    from orchestrator.models.catalog.settings import ModelSettings

    known = ModelSettings.load(project_directory()).providers
    held = Keys.load()
    wanted = named(provider, known) if provider else None
    match act:
        case Act.SET:
            if wanted is None:
                raise ConfigurationError(
                    "`orchestrator keys set` needs a provider",
                    help="write for example `orchestrator keys set openai`",
                )
            _set(wanted, held, as_json=json)
        case Act.LIST:
            _list([wanted] if wanted else [each for each in known.values() if each.key_variables], held, as_json=json)
        case Act.CHECK:
            _check(
                [wanted] if wanted else [each for each in known.values() if _has_key(each, held)], held, as_json=json
            )


def named(text: str, providers: "Mapping[str, Provider]") -> "Provider":
    """Return the provider of a name, or raise an error with the nearest name."""
    from orchestrator.diagnostics import suggest
    from orchestrator.errors import ConfigurationError
    from orchestrator.models.catalog.names import provider_named
    from orchestrator.models.catalog.providers import SPELLINGS

    name = provider_named(text, providers)
    if name is None:
        near = suggest(text, [*providers, *SPELLINGS])
        listed = f"the providers are {quoted_list(providers)}"
        help = f"did you mean `{SPELLINGS.get(near, near)}`?" if near else listed
        raise ConfigurationError(f"unknown provider `{text}`", help=help)
    return providers[name]


def _has_key(provider: "Provider", held: "Keys") -> bool:
    return held.find(provider) is not None


def _set(provider: "Provider", held: "Keys", *, as_json: bool) -> None:
    from orchestrator.cli.terminal.output import emit, emit_json, say

    variable = held.store(provider, _read(provider))
    before = held.find(provider)
    if as_json:
        emit_json({"provider": provider.name, "variable": variable, "file": str(held.file)})
    else:
        emit(f"stored the key of {provider.title} as {variable} in {held.file}")
    if before is not None and before.source == "environment":
        say(f"note: {before.variable} is set in the environment too, and that one is used", "yellow")


def _read(provider: "Provider") -> str:
    """Read the key from stdin, or prompt for it without echo. Never from the command line."""
    if not provider.key_variables or not sys.stdin.isatty():
        return sys.stdin.readline() if provider.key_variables else ""
    from getpass import getpass

    return getpass(f"Key of {provider.title} (it is not shown): ", stream=sys.stderr)


def _list(providers: "list[Provider]", held: "Keys", *, as_json: bool) -> None:
    from orchestrator.cli.terminal.output import emit, emit_json, table

    found = [(provider, held.find(provider)) for provider in providers]
    if as_json:
        emit_json(
            [
                {
                    "provider": provider.name,
                    "variable": key.variable if key else None,
                    "source": key.source if key else None,
                    "variables": [*provider.key_variables, *provider.own_keys],
                }
                for provider, key in found
            ]
        )
        return
    rows = [
        (provider.name, key.variable if key else " or ".join(provider.key_variables), _source(key, held))
        for provider, key in sorted(found, key=lambda each: each[1] is None)
    ]
    emit(table(("PROVIDER", "VARIABLE", "KEY FROM"), rows))


def _source(key: "Key | None", held: "Keys") -> str:
    if key is None:
        return "nowhere"
    return "the environment" if key.source == "environment" else str(held.file)


def _check(providers: "list[Provider]", held: "Keys", *, as_json: bool) -> None:
    import asyncio

    from msgspec.structs import asdict

    from orchestrator.cli.terminal.output import DONE, FAILED, emit, emit_json, paint, say
    from orchestrator.models.catalog.probe import probe_all

    found = asyncio.run(probe_all(providers, held))
    if as_json:
        emit_json([{**asdict(probe), "ok": probe.ok, "models": len(probe.models)} for probe in found])
    else:
        for probe in found:
            verdict = paint("ok  ", "green", stream=sys.stdout) if probe.ok else paint("fail", "red", stream=sys.stdout)
            said = f"answered in {probe.seconds:.2f} s" if probe.ok else probe.problem
            emit(f"{verdict}  {probe.provider}: {said}")
        if not found:
            say("no key to check; store one with: orchestrator keys set PROVIDER")
    raise typer.Exit(DONE if all(probe.ok for probe in found) else FAILED)
