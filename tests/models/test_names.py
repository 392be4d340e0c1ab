from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ModelMissing
from orchestrator.models.catalog.entries import Catalogue
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.catalog.names import AUTO_MODEL, NameProblem, misspelt, parse_model_name
from orchestrator.models.catalog.providers import PROVIDERS, SPELLINGS
from orchestrator.models.catalog.settings import ModelSettings
from orchestrator.models.clients import endpoints
from orchestrator.models.messages import ModelName
from orchestrator.models.selection.default_model import default_model
from orchestrator.remedies import Replay, StoreKey

CATALOGUE = Catalogue()


def parsed(text: str, catalogue: Catalogue = CATALOGUE) -> ModelName:
    name = parse_model_name(text, catalogue)
    assert isinstance(name, ModelName), name
    return name


def problem(text: str) -> NameProblem:
    found = parse_model_name(text, CATALOGUE)
    assert isinstance(found, NameProblem), found
    return found


@pytest.mark.parametrize(
    ("text", "provider", "model"),
    [
        ("openai:gpt-5-mini", "openai", "gpt-5-mini"),
        ("openai/gpt-5-mini", "openai", "gpt-5-mini"),
        ("gpt-5-mini", "openai", "gpt-5-mini"),
        ("claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
        (" OpenAI:gpt-5-mini ", "openai", "gpt-5-mini"),
        ("gemini:gemini-2.5-flash", "google", "gemini-2.5-flash"),
        ("hf/meta-llama/Llama-3.3-70B-Instruct", "huggingface", "meta-llama/Llama-3.3-70B-Instruct"),
        ("ollama:llama3.2:3b", "ollama", "llama3.2:3b"),
        ("openrouter/anthropic/claude-sonnet-4.5", "openrouter", "anthropic/claude-sonnet-4.5"),
        ("transformers:./models/tiny", "transformers", "./models/tiny"),
        ("openai:a-model-of-next-year", "openai", "a-model-of-next-year"),
    ],
)
def test_a_model_is_named_with_its_provider_or_alone_where_its_maker_is_known(
    text: str, provider: str, model: str
) -> None:
    assert parsed(text) == ModelName(provider, model)


def test_auto_is_a_name_without_a_provider() -> None:
    assert (parsed("auto"), str(AUTO_MODEL)) == (AUTO_MODEL, "auto")


@given(st.sampled_from([*PROVIDERS, *SPELLINGS]), st.sampled_from(":/"), st.text("abcxyz0189.:/-", min_size=1))
def test_whatever_follows_a_provider_is_its_model(provider: str, separator: str, model: str) -> None:
    name = parsed(f"{provider}{separator}{model}")
    assert name.provider == SPELLINGS.get(provider, provider)
    assert name.model == model
    assert parsed(str(name)) == name


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("opnai:gpt-5", "openai:gpt-5"),
        ("antropic/claude-haiku-4-5", "anthropic:claude-haiku-4-5"),
        ("gpt-5-mni", "openai:gpt-5-mini"),
        ("llama-3.3-70b-versatile", "groq:llama-3.3-70b-versatile"),
        ("qwen3:8b", "ollama:qwen3:8b"),
        ("somebody/Some-Model", "huggingface:somebody/Some-Model"),
    ],
)
def test_a_name_that_means_nothing_is_answered_by_what_was_probably_meant(text: str, suggestion: str) -> None:
    found = problem(text)
    assert found.suggestion == suggestion
    assert suggestion in found.help
    assert parsed(suggestion)


@pytest.mark.parametrize("text", ["", "openai:", "openai", "zzz:qqq", "zzzqqq", "ollama"])
def test_every_problem_says_what_to_write(text: str) -> None:
    found = problem(text)
    assert found.message
    assert found.help
    error = found.error()
    assert isinstance(error, ModelMissing)
    assert error.help == found.help


def test_a_model_that_others_offer_too_is_not_taken_from_any_of_them() -> None:
    found = problem("meta-llama/Llama-3.3-70B-Instruct")
    assert "`huggingface:meta-llama/Llama-3.3-70B-Instruct`" in found.help
    assert "`openrouter:" in found.help
    assert found.suggestion is None


def test_a_misspelt_model_is_told_from_a_new_one() -> None:
    assert misspelt(ModelName("openai", "gpt-5-mni"), CATALOGUE) == "gpt-5-mini"
    assert misspelt(ModelName("anthropic", "claude-haiku-45"), CATALOGUE) is None
    assert misspelt(ModelName("openai", "gpt-9-mini"), CATALOGUE) is None
    assert misspelt(ModelName("openai", "gpt-5-mini-2025-08-07"), CATALOGUE) is None
    assert misspelt(ModelName("ollama", "anything"), CATALOGUE) is None
    assert misspelt(AUTO_MODEL, CATALOGUE) is None


# auto


def keys(tmp_path: Path, **environ: str) -> Keys:
    return Keys(tmp_path / ".env", environ)


def test_auto_takes_the_default_of_the_settings_first(tmp_path: Path) -> None:
    catalogue = Catalogue(ModelSettings(default="ollama:llama3.2"))
    name, why = default_model(catalogue, keys(tmp_path, OPENAI_API_KEY="k"), ["qwen3"])
    assert name == ModelName("ollama", "llama3.2")
    assert "orchestrator.toml" in why


def test_auto_takes_the_first_provider_with_a_key(tmp_path: Path) -> None:
    name, why = default_model(CATALOGUE, keys(tmp_path, GROQ_API_KEY="k", ANTHROPIC_API_KEY="k"), ["qwen3"])
    assert name.provider == "anthropic"
    assert "ANTHROPIC_API_KEY" in why


def test_auto_takes_a_model_of_ollama_that_can_answer(tmp_path: Path) -> None:
    name, why = default_model(CATALOGUE, keys(tmp_path), ["nomic-embed-text:latest", "qwen3:8b"])
    assert name == ModelName("ollama", "qwen3:8b")
    assert "Ollama" in why


def test_auto_stands_for_no_model_without_a_key_and_an_ollama_and_the_error_names_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no API key of a provider is set, and Ollama is not running") as found:
        default_model(CATALOGUE, keys(tmp_path), ["all-minilm"])
    assert found.value.help == "start Ollama or set the API key of a provider"
    assert found.value.remedies == (StoreKey(), Replay())


def without(*modules: str) -> Callable[[str], object]:
    """Return a `find_spec` that does not find these modules."""
    return lambda name: None if name in modules else find_spec(name)


def test_auto_passes_over_a_provider_whose_packages_are_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "find_spec", without("anthropic"))
    both = keys(tmp_path, GROQ_API_KEY="k", ANTHROPIC_API_KEY="k")
    name, why = default_model(CATALOGUE, both)
    assert name.provider == "groq"
    assert why == (
        "GROQ_API_KEY is in the environment; ANTHROPIC_API_KEY is in the environment, but its packages are not "
        'installed (pip install "pyorchestrator[anthropic]")'
    )


def test_auto_names_the_packages_that_a_language_model_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "find_spec", without("pydantic_ai"))
    with pytest.raises(ModelMissing) as found:
        default_model(CATALOGUE, keys(tmp_path, OPENAI_API_KEY="k"), ["qwen3:8b", "llama3.2"])
    why = found.value.message
    assert "OPENAI_API_KEY is in the environment, but its packages are not installed" in why
    assert '(pip install "pyorchestrator[openai]")' in why
    assert why.count('"pyorchestrator[ollama]"') == 1


def test_a_wrong_default_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="opnai"):
        default_model(Catalogue(ModelSettings(default="opnai:gpt-5")), keys(tmp_path))


@pytest.mark.parametrize("provider", [each for each in PROVIDERS.values() if each.default], ids=lambda each: each.name)
def test_what_auto_takes_is_in_the_catalogue_with_its_price(provider: object) -> None:
    card = CATALOGUE.find(ModelName(provider.name, provider.default))  # type: ignore[attr-defined]
    assert card is not None
    assert card.input_price
    assert not card.deprecated
    assert "streaming" in card.capabilities
