"""The providers of models: their protocols, addresses and the variables with their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from orchestrator.config.vocabulary import ServerKind

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = ServerKind | Literal["transformers"]
"""The protocol of a provider, or the library that runs its models here."""


class Provider(Struct, frozen=True):
    """One provider, or a server of the settings.

    `key_variables`: the first that is set holds the key; none means that no key is needed. `own_keys`: variables that
    say that the provider's own library will find its credentials. `base_url`: empty where the library knows it;
    `url_variables` may name another. `prices`: the name in the table of prices. `default`: what `auto` takes, small,
    cheap and current. `maker`: its models are its own, so that their names alone mean those here. `free`: using it
    costs nothing. `timeout` in seconds. `stream`: answers can be streamed. `max_bytes`: the size limit of one answer;
    the default is in `orchestrator.models.clients.answer_bounds`.
    """

    name: str
    title: str
    kind: Kind
    key_variables: tuple[str, ...] = ()
    own_keys: tuple[str, ...] = ()
    base_url: str = ""
    url_variables: tuple[str, ...] = ()
    prices: str = ""
    default: str = ""
    maker: bool = False
    free: bool = False
    key_optional: bool = False
    timeout: float | None = None
    stream: bool = True
    max_bytes: int | None = None

    @property
    def needs_key(self) -> bool:
        """Whether it requires a key."""
        return bool(self.key_variables) and not self.key_optional

    def url(self, environ: Mapping[str, str]) -> str:
        """Return its address: from the environment, else its usual one; empty where its library knows it."""
        for variable in self.url_variables:
            if address := environ.get(variable, "").strip():
                return _completed(address)
        return self.base_url


def _completed(address: str) -> str:
    """Complete what the variables may hold: `OLLAMA_HOST` is often `gpu-box`, or the `0.0.0.0:11434` it listens on."""
    if "://" in address:
        return address.rstrip("/")
    host = address.rstrip("/").replace("0.0.0.0", "127.0.0.1", 1)  # noqa: S104 - no client can connect to that one
    return f"http://{host if ':' in host else host + ':11434'}/v1"


_ALL: Final = (
    Provider(
        "openai",
        "OpenAI",
        "openai",
        ("OPENAI_API_KEY",),
        url_variables=("OPENAI_BASE_URL",),
        prices="openai",
        default="gpt-6-luna",
        maker=True,
    ),
    Provider(
        "anthropic",
        "Anthropic",
        "anthropic",
        ("ANTHROPIC_API_KEY",),
        url_variables=("ANTHROPIC_BASE_URL",),
        prices="anthropic",
        default="claude-haiku-5-5",
        maker=True,
    ),
    Provider(
        "google",
        "Google Gemini",
        "google",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        url_variables=("GOOGLE_GEMINI_BASE_URL",),
        prices="google",
        default="gemini-3.8-flash",
        maker=True,
    ),
    Provider(
        "mistral",
        "Mistral",
        "mistral",
        ("MISTRAL_API_KEY",),
        base_url="https://api.mistral.ai",
        prices="mistral",
        default="mistral-small-latest",
        maker=True,
    ),
    Provider(
        "deepseek",
        "DeepSeek",
        "openai",
        ("DEEPSEEK_API_KEY",),
        base_url="https://api.deepseek.com",
        prices="deepseek",
        default="deepseek-flash",
        maker=True,
    ),
    Provider(
        "xai",
        "xAI",
        "openai",
        ("XAI_API_KEY",),
        base_url="https://api.x.ai/v1",
        prices="x-ai",
        default="grok-4.7",
        maker=True,
    ),
    Provider("groq", "Groq", "groq", ("GROQ_API_KEY",), prices="groq", default="openai/gpt-oss-20b"),
    Provider(
        "huggingface",
        "Hugging Face",
        "huggingface",
        ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        base_url="https://router.huggingface.co/v1",
        default="openai/gpt-oss-20b:groq",
    ),
    Provider(
        "bedrock",
        "Amazon Bedrock",
        "bedrock",
        ("AWS_BEARER_TOKEN_BEDROCK",),
        own_keys=("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN"),
        prices="aws",
        default="global.anthropic.claude-haiku-5-5",
    ),
    Provider(
        "azure",
        "Azure OpenAI",
        "openai",
        ("AZURE_OPENAI_API_KEY",),
        url_variables=("AZURE_OPENAI_BASE_URL",),
        prices="azure",
    ),
    Provider(
        "openrouter",
        "OpenRouter",
        "openai",
        ("OPENROUTER_API_KEY",),
        base_url="https://openrouter.ai/api/v1",
        prices="openrouter",
        default="openai/gpt-oss-20b",
    ),
    Provider(
        "together",
        "Together",
        "openai",
        ("TOGETHER_API_KEY",),
        base_url="https://api.together.xyz/v1",
        prices="together",
        default="openai/gpt-oss-120b",
    ),
    Provider(
        "fireworks",
        "Fireworks",
        "openai",
        ("FIREWORKS_API_KEY",),
        base_url="https://api.fireworks.ai/inference/v1",
        prices="fireworks",
        default="accounts/fireworks/models/gpt-oss-20b",
    ),
    Provider(
        "cerebras",
        "Cerebras",
        "openai",
        ("CEREBRAS_API_KEY",),
        base_url="https://api.cerebras.ai/v1",
        prices="cerebras",
        default="gpt-oss-120b",
    ),
    Provider(
        "ollama",
        "Ollama",
        "ollama",
        base_url="http://127.0.0.1:11434/v1",
        url_variables=("OLLAMA_BASE_URL", "OLLAMA_HOST"),
        free=True,
    ),
    Provider("vllm", "vLLM", "openai", base_url="http://127.0.0.1:8000/v1", free=True),
    Provider("llamacpp", "llama.cpp", "openai", base_url="http://127.0.0.1:8080/v1", free=True),
    Provider("lmstudio", "LM Studio", "openai", base_url="http://127.0.0.1:1234/v1", free=True),
    Provider("transformers", "Transformers, in a folder", "transformers", free=True),
)

PROVIDERS: Final = {provider.name: provider for provider in _ALL}
"""The providers that Orchestrator knows, in the order in which `auto` tries them."""

SPELLINGS: Final = {
    "gemini": "google",
    "google-gla": "google",
    "hf": "huggingface",
    "x-ai": "xai",
    "grok": "xai",
    "aws": "bedrock",
    "azure-openai": "azure",
    "llama.cpp": "llamacpp",
    "llama-cpp": "llamacpp",
    "lm-studio": "lmstudio",
    "mistralai": "mistral",
}
"""Other spellings of their names."""
