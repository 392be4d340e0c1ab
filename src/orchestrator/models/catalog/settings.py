"""The model settings of `orchestrator.toml`: the default model, custom servers, and corrections of the catalogue."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.config.project_file import ProjectFile
from orchestrator.config.setting_errors import SettingProblem, setting_name
from orchestrator.models.catalog.names import provider_named
from orchestrator.models.catalog.providers import PROVIDERS, SPELLINGS, Provider
from orchestrator.models.messages import ModelName

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from orchestrator.config.tables.models import ServerTable


class ModelSettings(Struct, frozen=True):
    """The tables `[models]` and `[servers]`.

    `providers` are the known ones and the servers, which take precedence; `models` the fields of model cards that are
    set.
    """

    default: str | None = None
    providers: Mapping[str, Provider] = field(default_factory=lambda: PROVIDERS)
    models: Mapping[ModelName, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, directory: str | Path = ".") -> ModelSettings:
        """Read them from `orchestrator.toml` in `directory`.

        Raises:
            ConfigurationError: The file is not TOML, or has a setting that is unknown or of the wrong type.
        """
        file = ProjectFile.load(directory)
        if not file.has("models", "servers"):
            return cls()
        from orchestrator.config.tables.models import ModelSection

        settings = file.read(ModelSection, _problems(file))
        providers = PROVIDERS | {
            SPELLINGS.get(name, name): _server(name, table) for name, table in settings.servers.items()
        }
        models = settings.models.entries
        return cls(
            settings.models.default,
            providers,
            {model_named(key, providers): table.model_dump(exclude_none=True) for key, table in models.items()},
        )


def provider_names(file: ProjectFile) -> tuple[str, ...]:
    """Return the names of the known providers, and of the servers of a file."""
    return (*PROVIDERS, *(SPELLINGS.get(name, name) for name in file.tables("servers")))


def model_named(key: str, providers: Collection[str]) -> ModelName:
    """Return the model at a provider that the name of a table names.

    Raises:
        SettingProblem: It names none.
    """
    before, _, rest = key.partition(":") if ":" in key else key.partition("/")
    provider = provider_named(before, providers)
    if provider is not None and rest.strip():
        return ModelName(provider, rest.strip())
    if not rest.strip():
        model = f"{provider}:MODEL" if provider is not None else f"openai:{before}"
        raise SettingProblem(
            "{} is neither a setting nor a model name",
            help=f"name a model with its provider: `{setting_name((model,))}`",
        )
    raise unknown_provider(before, providers, f":{rest}")


def unknown_provider(name: str, providers: Collection[str], rest: str = "") -> SettingProblem:
    """Return the problem of a provider that is not known; `rest` follows it in the name of a model."""
    from orchestrator.diagnostics import suggest

    near = suggest(name, [*providers, *SPELLINGS])
    help = f"did you mean `{near}{rest}`?" if near else f"for a custom server, add a table `[servers.{name}]`"
    return SettingProblem(f"{{}}: unknown provider `{name}`", help=help)


def key_variable(server: str) -> str:
    """Return the variable that holds the key of a server whose settings name none."""
    return re.sub(r"[^A-Za-z0-9]", "_", server).upper() + "_API_KEY"


def _problems(file: ProjectFile) -> Iterator[SettingProblem]:
    known = provider_names(file)
    yield from file.refused("models", lambda key: model_named(key, known))
    for name, table in file.tables("servers").items():
        if "base_url" not in table and SPELLINGS.get(name, name) not in PROVIDERS:
            yield SettingProblem(
                "{} is missing",
                help='write `base_url = "http://localhost:8000/v1"`',
                keys=("servers", name, "base_url"),
            )


def _server(name: str, table: ServerTable) -> Provider:
    known = PROVIDERS.get(SPELLINGS.get(name, name))
    kind = table.kind or (known.kind if known else "openai")
    variable = table.api_key_env
    said = replace(
        known or Provider(name, name, kind),
        kind=kind,
        timeout=table.timeout,
        stream=table.stream,
        max_bytes=table.max_bytes,
        free=table.free if table.free is not None else known.free if known else False,
    )
    keys = (variable,) if variable else known.key_variables if known else (key_variable(name),)
    if table.base_url is None:  # it is asked where it always is
        return replace(said, key_variables=keys, own_keys=()) if variable else said
    return replace(
        said,
        base_url=table.base_url.rstrip("/"),
        url_variables=(),
        key_variables=keys,
        key_optional=variable is None,
        own_keys=known.own_keys if known and variable is None else (),
        free=_is_private(urlsplit(table.base_url).hostname or "") if table.free is None else table.free,
    )


def _is_private(host: str) -> bool:
    """Whether the host is this machine or one of the local network, so that using it costs nothing."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".lan")) or "." not in host
    return address.is_private
