"""The tables of models: what is known of them, where they are, how often they are called and what they cost."""

from __future__ import annotations

from typing import ClassVar, get_args

from pydantic import ConfigDict, Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, SpendingTable, setting
from orchestrator.config.vocabulary import CAPABILITIES, ServerKind
from orchestrator.text.words import quoted_list


class ModelTable(SettingsTable):
    """Corrections of the catalogue, or a model that it does not contain. Prices are in USD per million tokens.

    The name is a provider or a server with a model: `[models."openai:gpt-5-mini"]`.
    """

    elsewhere: ClassVar = {
        **dict.fromkeys(("input_cost", "prompt_price", "price_in"), "input_price"),
        **dict.fromkeys(("output_cost", "completion_price", "price_out"), "output_price"),
        **dict.fromkeys(("context", "context_length", "max_context"), "context_window"),
        **dict.fromkeys(("max_tokens", "max_output_tokens"), "max_output"),
    }

    input_price: kinds.Number | None = setting("0.25", "the price of input tokens")
    cached_price: kinds.Number | None = setting("0.025", "the price of input tokens that the provider has cached")
    output_price: kinds.Number | None = setting("2.0", "the price of output tokens")
    image_price: kinds.Number | None = setting("0.04", "the price of a picture that the model makes")
    minute_price: kinds.Number | None = setting("0.006", "the price of a minute of a recording that it transcribes")
    character_price: kinds.Number | None = setting("15", "the price of a million characters that it speaks")
    context_window: kinds.Whole | None = setting("128_000", "the context window, in tokens")
    max_output: kinds.Whole | None = setting("16_000", "the longest answer, in tokens")
    quality: kinds.Rank | None = setting("3", "a rank from 1 to 5, for `selection`")
    speed: kinds.Rank | None = setting("3", "a rank from 1 to 5, for `selection`")
    size: kinds.Number | None = setting("8", "billions of parameters")
    capabilities: kinds.Capabilities | None = setting(
        '["tools", "vision"]', f"all that the model can do: {quoted_list(CAPABILITIES)}"
    )
    expertise: kinds.Words | None = setting('["code"]', "what the model is good at")


class ModelsTable(SettingsTable):
    """The model that pipelines use by default."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, ModelTable] = Field(init=False)

    entry = ModelTable

    elsewhere: ClassVar = dict.fromkeys(("model", "name", "auto"), "default")

    default: kinds.Text | None = setting('"openai:gpt-5-mini"', "the model of `auto`")


class ServerTable(SettingsTable):
    """A custom server of models, or a known provider at another address or with other settings."""

    elsewhere: ClassVar = {
        **dict.fromkeys(("url", "endpoint", "address", "host", "api_base", "base"), "base_url"),
        **dict.fromkeys(("api_key", "key", "key_env", "token", "api_token"), "api_key_env"),
        **dict.fromkeys(("type", "protocol", "provider", "api"), "kind"),
        **dict.fromkeys(("streaming", "streams"), "stream"),
    }

    base_url: kinds.ServerUrl | None = setting(
        '"http://localhost:8000/v1"', "the address; required unless the server is a known provider"
    )
    kind: kinds.Kind | None = setting(
        '"openai"',
        f"the protocol: {quoted_list(get_args(ServerKind), last='or')}. The default is `openai`, which vLLM, "
        "llama.cpp, LM Studio and most others use",
    )
    api_key_env: kinds.KeyVariable | None = setting(
        '"LAB_API_KEY"',
        "the variable that contains the key. The default for a server `lab` is `LAB_API_KEY`, if it is set",
    )
    timeout: kinds.PositiveDuration | None = setting('"30s"', "the maximum time for an answer")
    free: kinds.Flag | None = setting(
        "true", "whether the server costs nothing; by default `true` for addresses of private networks"
    )
    stream: kinds.Flag = setting(
        "false", "`false` if the server cannot stream answers reliably. Answers then arrive in one piece", True
    )
    max_bytes: kinds.Whole | None = setting(
        "100_000_000",
        "the maximum size of an answer, in bytes after decompression; the default is 67,108,864 (64 MiB)",
    )


class ModelSection(Section):
    """Models and their servers."""

    models: ModelsTable = Field(default_factory=ModelsTable)
    servers: dict[kinds.ServerName, ServerTable] = Field({})


class RateTable(SettingsTable):
    """How often all processes with the same store may call a provider, a server, or one of its models.

    The name of a model contains its provider: `[limits."openai:gpt-5-mini"]`.
    """

    elsewhere: ClassVar = {
        **dict.fromkeys(("requests", "rpm", "max_requests", "calls"), "requests_per_minute"),
        **dict.fromkeys(("tokens", "tpm", "max_tokens"), "tokens_per_minute"),
    }

    requests_per_minute: kinds.Whole | None = setting("500", "requests per minute")
    tokens_per_minute: kinds.Whole | None = setting("200_000", "tokens per minute, input and output together")


class LimitsTable(SettingsTable):
    """How long calls wait for the rate limits below."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, RateTable] = Field(init=False)

    entry = RateTable

    longest_wait: kinds.Duration | None = setting('"10m"', "the maximum wait of a call; by default 10 minutes")


class LimitSection(Section):
    """Rate limits."""

    limits: LimitsTable = Field(default_factory=LimitsTable)


class ProjectBudgetTable(SpendingTable):
    """What all runs of the store together may spend."""

    period: kinds.BudgetPeriod = setting('"month"', 'the period: `"day"` or `"month"`, by UTC, or `"all"` time', "all")


class BudgetSection(Section):
    """The budget of the project."""

    budget: ProjectBudgetTable = Field(default_factory=ProjectBudgetTable)
