"""The model settings of `orchestrator.toml`: the default model, custom servers, and corrections of the catalogue."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.config.project_file import SettingsTable, read_configuration
from orchestrator.language.values.durations import parse_duration
from orchestrator.models.catalog.names import provider_named
from orchestrator.models.catalog.providers import KINDS, PROVIDERS, SPELLINGS, Kind, Provider
from orchestrator.models.messages import ModelName
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from pathlib import Path

CAPABILITIES = (
    "streaming",
    "tools",
    "json_schema",
    "vision",
    "audio",
    "video",
    "files",
    "embeddings",
    "reasoning",
    "code",
)
"""What a model may be able to do. `code`: it is good at writing programs; `files`: it reads PDF files."""

_SERVER = ("base_url", "kind", "api_key_env", "timeout", "free", "stream", "max_bytes")
_PRICES = ("input_price", "cached_price", "output_price")
_SIZES = ("context_window", "max_output", "quality", "speed")
_LISTS = ("capabilities", "expertise")
_MODEL = (*_PRICES, *_SIZES, "size", *_LISTS)
_OTHER_KINDS = ("transformers",)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Override(Struct, frozen=True):
    """What the settings say about one model; None is silence."""

    input_price: float | None = None
    cached_price: float | None = None
    output_price: float | None = None
    context_window: int | None = None
    max_output: int | None = None
    quality: int | None = None
    speed: int | None = None
    size: float | None = None
    capabilities: frozenset[str] | None = None
    expertise: frozenset[str] | None = None


class ModelSettings(Struct, frozen=True):
    """The tables `[models]` and `[servers]`. `providers` are the known ones and the servers, which go before them."""

    default: str | None = None
    providers: Mapping[str, Provider] = field(default_factory=lambda: PROVIDERS)
    models: Mapping[ModelName, Override] = field(default_factory=dict)

    @classmethod
    def load(cls, directory: str | Path = ".") -> ModelSettings:
        """Read them from `orchestrator.toml` in `directory`.

        Raises:
            ConfigurationError: The file is not TOML, or has a setting that is unknown or of the wrong type.
        """
        whole = read_configuration(directory)
        servers = whole.table("servers")
        providers = dict(PROVIDERS)
        for name in servers.values:
            providers[_server_name(servers, name)] = _server(name, servers.table(name))
        models = whole.table("models")
        overrides = {key: models.table(key) for key, value in models.values.items() if isinstance(value, Mapping)}
        SettingsTable(models.file, models.name, {k: v for k, v in models.values.items() if k not in overrides}).only(
            ("default",)
        )
        return cls(
            models.text("default", "openai:gpt-5-mini"),
            providers,
            {model_named(models, key, providers): _override(table) for key, table in overrides.items()},
        )


def _server_name(servers: SettingsTable, name: str) -> str:
    if not _NAME.fullmatch(name) or name == "auto":
        raise servers.error(
            f"`{servers.path(name)}`: invalid server name",
            "use a letter, then letters, digits, `-`, `_` and `.`; `auto` is reserved",
        )
    if name in SPELLINGS:
        return SPELLINGS[name]
    return name


def _server(name: str, table: SettingsTable) -> Provider:
    table.only(_SERVER)
    known = PROVIDERS.get(SPELLINGS.get(name, name))
    url = table.text("base_url", "http://localhost:8000/v1")
    if url is None and known is None:
        raise table.error(f"`{table.path('base_url')}` is missing", 'write `base_url = "http://localhost:8000/v1"`')
    host = _host(table, url) if url is not None else ""
    kind = _kind(table) or (known.kind if known else "openai")
    variable = table.text("api_key_env", "LAB_API_KEY")
    if variable is not None and not _VARIABLE.fullmatch(variable):
        raise table.error(
            f"`{table.path('api_key_env')}` must be the name of an environment variable, not the key itself",
            f"put the key into a variable, or store it with `orchestrator keys set {name}`",
        )
    free = table.flag("free")
    keys = (variable,) if variable else known.key_variables if known else (key_variable(name),)
    stream = table.flag("stream")
    said = replace(
        known or Provider(name, name, kind),
        kind=kind,
        timeout=_timeout(table),
        stream=stream is not False,
        max_bytes=table.whole("max_bytes", "100_000_000"),
        free=free if free is not None else known.free if known else False,
    )
    if url is None:  # it is asked where it always is
        return replace(said, key_variables=keys, own_keys=()) if variable else said
    return replace(
        said,
        base_url=url.rstrip("/"),
        url_variables=(),
        key_variables=keys,
        key_optional=variable is None,
        own_keys=known.own_keys if known and variable is None else (),
        free=_is_private(host) if free is None else free,
    )


def key_variable(server: str) -> str:
    """Return the variable that holds the key of a server whose settings name none."""
    return re.sub(r"[^A-Za-z0-9]", "_", server).upper() + "_API_KEY"


def _host(table: SettingsTable, url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise table.error(
            f"`{table.path('base_url')}` is not the URL of a server", 'write for example `"http://localhost:8000/v1"`'
        )
    if parts.username or parts.password:
        raise table.error(
            f"`{table.path('base_url')}` contains a password",
            "name the variable that holds the key with `api_key_env`, or use `orchestrator keys set`; not the file",
        )
    return host


def _is_private(host: str) -> bool:
    """Whether the host is this machine or one of the local network, so that using it costs nothing."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".lan")) or "." not in host
    return address.is_private


def _kind(table: SettingsTable) -> Kind | None:
    kind = table.text("kind", "openai")
    choices = [each for each in KINDS if each not in _OTHER_KINDS]
    if kind is None or kind in choices:
        return cast("Kind | None", kind)
    from orchestrator.diagnostics import suggest

    near = suggest(kind, choices)
    listed = f"the kinds are {quoted_list(choices)}"
    raise table.error(f"`{table.path('kind')}`: unknown kind `{kind}`", f"did you mean `{near}`?" if near else listed)


def _timeout(table: SettingsTable) -> float | None:
    value = table.values.get("timeout")
    if value is None:
        return None
    try:
        seconds = parse_duration(value)
        problem = "" if seconds > 0 else "it must be more than 0"
    except ValueError as error:
        problem = str(error)
    if problem:
        raise table.error(
            f"`{table.path('timeout')}` is not a duration: {problem}", 'write for example `timeout = "30s"`'
        )
    return seconds


def model_named(models: SettingsTable, key: str, providers: Mapping[str, Provider]) -> ModelName:
    """Return the model at a provider that a key of a table names; raises ConfigurationError where it names none."""
    before, _, rest = key.partition(":") if ":" in key else key.partition("/")
    provider = provider_named(before, providers)
    if provider is not None and rest.strip():
        return ModelName(provider, rest.strip())
    if not rest:
        problem = f"`{models.path(key)}` is neither a setting nor a model name"
        raise models.error(problem, f'name a model with its provider: `[models."openai:{key}"]`')
    from orchestrator.diagnostics import suggest

    near = suggest(before, [*providers, *SPELLINGS])
    help = f"did you mean `{near}:{rest}`?" if near else f"for a custom server, add a table `[servers.{before}]`"
    raise models.error(f"`{models.path(key)}`: unknown provider `{before}`", help)


def _override(table: SettingsTable) -> Override:
    table.only(_MODEL)
    ranks = {key: table.whole(key, "3") for key in ("quality", "speed")}
    for key, rank in ranks.items():
        if rank is not None and rank > 5:
            raise table.error(f"`{table.path(key)}` must be from 1 to 5", f"write for example `{key} = 3`")
    capabilities = _words(table, "capabilities")
    for capability in capabilities or ():
        if capability not in CAPABILITIES:
            from orchestrator.diagnostics import suggest

            near = suggest(capability, CAPABILITIES)
            listed = f"the capabilities are {quoted_list(CAPABILITIES)}"
            raise table.error(
                f"`{table.path('capabilities')}`: `{capability}` is none", f"did you mean `{near}`?" if near else listed
            )
    return Override(
        input_price=table.number("input_price", "0.25"),
        cached_price=table.number("cached_price", "0.025"),
        output_price=table.number("output_price", "2.0"),
        context_window=table.whole("context_window", "128_000"),
        max_output=table.whole("max_output", "16_000"),
        quality=ranks["quality"],
        speed=ranks["speed"],
        size=table.number("size", "8"),
        capabilities=capabilities,
        expertise=_words(table, "expertise"),
    )


def _words(table: SettingsTable, key: str) -> frozenset[str] | None:
    return frozenset(table.texts(key)) if key in table.values else None
