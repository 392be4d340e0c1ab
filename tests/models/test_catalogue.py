import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.config.vocabulary import CAPABILITIES
from orchestrator.errors import ConfigurationError
from orchestrator.models.catalog.entries import Catalogue, _known
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.messages import ModelName, Usage

CATALOGUE = Catalogue()
MILLION = 1_000_000


def configured(directory: Path, text: str) -> Catalogue:
    (directory / "orchestrator.toml").write_text(text)
    return Catalogue.load(directory)


def test_a_card_tells_prices_windows_and_abilities() -> None:
    card = CATALOGUE.find(ModelName("openai", "gpt-5-mini"))
    assert card is not None
    assert (card.input_price, card.cached_price, card.output_price) == (0.25, 0.025, 2.0)
    assert (card.context_window, card.max_output) == (400_000, 128_000)
    assert {"tools", "json_schema", "vision", "reasoning", "streaming"} <= card.capabilities
    assert card.modalities >= {"text", "image"}
    assert card.lacks("audio")


@pytest.mark.parametrize(
    "name",
    [
        ModelName("openai", "gpt-5-mini-2025-08-07"),
        ModelName("azure", "gpt-5-mini"),
        ModelName("bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ModelName("openrouter", "anthropic/claude-sonnet-4.5"),
        ModelName("huggingface", "meta-llama/Llama-3.3-70B-Instruct:groq"),
    ],
    ids=str,
)
def test_a_model_is_known_by_every_name_that_is_taken_for_it(name: ModelName) -> None:
    card = CATALOGUE.find(name)
    assert card is not None
    assert card.name == name
    assert card.input_price
    assert "tools" in card.capabilities


def test_an_unknown_model_has_no_card_and_an_unknown_cost() -> None:
    name = ModelName("openai", "a-model-of-next-year")
    assert CATALOGUE.find(name) is None
    assert CATALOGUE.cost(name, Usage(input=10, output=10)) is None
    assert CATALOGUE.find(ModelName("nobody", "gpt-5")) is None
    assert CATALOGUE.cost(ModelName("nobody", "gpt-5"), Usage()) is None


@pytest.mark.parametrize("name", [ModelName("ollama", "qwen3:8b"), ModelName("vllm", "never/heard-of")], ids=str)
def test_what_runs_at_home_costs_nothing(name: ModelName) -> None:
    card = CATALOGUE.find(name)
    assert card is not None
    assert card.free
    assert CATALOGUE.cost(name, Usage(input=MILLION, output=MILLION)) == 0


def test_what_a_name_tells_is_read_from_it_but_is_not_certain_at_home() -> None:
    card = CATALOGUE.find(ModelName("ollama", "qwen2.5-coder:7b"))
    assert card is not None
    assert card.size == 7
    assert "code" in card.capabilities
    assert not card.lacks("vision")
    mixture = CATALOGUE.find(ModelName("ollama", "mixtral-8x7b"))
    assert mixture is not None
    assert mixture.size == 56


def test_a_call_costs_what_its_tokens_cost() -> None:
    cost = CATALOGUE.cost(ModelName("openai", "gpt-5-mini"), Usage(input=1000, cached=400, output=100, reasoning=50))
    assert cost == pytest.approx((600 * 0.25 + 400 * 0.025 + 100 * 2.0) / MILLION)


def test_a_long_input_costs_what_its_step_of_the_price_says() -> None:
    name = ModelName("google", "gemini-2.5-pro")
    short, long = (CATALOGUE.cost(name, Usage(input=tokens)) for tokens in (100_000, 300_000))
    assert short is not None
    assert long is not None
    assert long > 3 * short * 1.5


def test_embeddings_cost_their_input() -> None:
    assert CATALOGUE.cost(ModelName("openai", "text-embedding-3-small"), Usage(input=MILLION)) == pytest.approx(0.02)


usages = st.builds(
    lambda fresh, cached, output: Usage(input=fresh + cached, cached=cached, output=output),
    *[st.integers(0, 10**7)] * 3,
)


@given(usages, usages)
def test_costs_of_calls_add_up_where_a_price_has_no_steps(one: Usage, other: Usage) -> None:
    name = ModelName("openai", "gpt-5-mini")
    costs = [CATALOGUE.cost(name, usage) for usage in (one, other, one + other)]
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[0] >= 0
    assert costs[0] + costs[1] == pytest.approx(costs[2])


def test_the_settings_add_models_and_correct_what_is_known(tmp_path: Path) -> None:
    catalogue = configured(
        tmp_path,
        """
        [models."openai:gpt-5-mini"]
        input_price = 1.0
        [models."openai:ours"]
        input_price = 3.0
        output_price = 6
        context_window = 32_000
        capabilities = ["vision", "tools"]
        """,
    )
    corrected = catalogue.find(ModelName("openai", "gpt-5-mini"))
    assert corrected is not None
    assert (corrected.input_price, corrected.output_price) == (1.0, 2.0)
    assert corrected.context_window == 400_000
    assert catalogue.cost(corrected.name, Usage(input=MILLION, output=MILLION)) == pytest.approx(3.0)
    ours = catalogue.find(ModelName("openai", "ours"))
    assert ours is not None
    assert ours.context_window == 32_000
    assert ours.modalities == {"text", "image"}
    assert ours.lacks("audio")
    assert catalogue.cost(ours.name, Usage(input=MILLION, output=MILLION)) == pytest.approx(9.0)
    assert ours in catalogue.cards("openai")
    assert catalogue.makers_of("ours") == [ours.name]


def test_a_price_that_is_half_known_makes_no_cost_up(tmp_path: Path) -> None:
    catalogue = configured(tmp_path, '[models."openai:ours"]\ninput_price = 3.0\n')
    name = ModelName("openai", "ours")
    assert catalogue.cost(name, Usage(input=MILLION)) == pytest.approx(3.0)
    assert catalogue.cost(name, Usage(input=MILLION, output=1)) is None


def test_a_server_at_home_is_free_and_one_elsewhere_is_of_unknown_price(tmp_path: Path) -> None:
    catalogue = configured(
        tmp_path,
        """
        [servers.home]
        base_url = "http://gpu-box:8000/v1"
        timeout = "90s"
        [servers.away]
        base_url = "https://models.example.com/v1"
        api_key_env = "AWAY_KEY"
        [servers.gift]
        base_url = "https://gift.example.com/v1"
        free = true
        """,
    )
    costs = {name: catalogue.cost(ModelName(name, "m"), Usage(input=5)) for name in ("home", "away", "gift")}
    assert costs == {"home": 0, "away": None, "gift": 0}
    home, away = (catalogue.providers[name] for name in ("home", "away"))
    assert (home.timeout, home.needs_key, home.key_variables) == (90, False, ("HOME_API_KEY",))
    assert (away.needs_key, away.key_variables, away.kind) == (True, ("AWAY_KEY",), "openai")


def test_a_server_may_take_the_place_of_a_known_provider(tmp_path: Path) -> None:
    catalogue = configured(tmp_path, '[servers.ollama]\nbase_url = "http://gpu-box:11434/v1/"\n')
    ollama = catalogue.providers["ollama"]
    assert (ollama.kind, ollama.url({"OLLAMA_HOST": "elsewhere"})) == ("ollama", "http://gpu-box:11434/v1")


@pytest.mark.parametrize(
    ("text", "said", "help"),
    [
        ("[modles]\ndefault = 'x'", "unknown setting `modles`", "did you mean `models`?"),
        ("[models]\ndefalt = 'x'", "unknown setting `models.defalt`", "`default`"),
        ("[models]\ndefault = 3", "`models.default` must be a text", "default = "),
        ("models = 3", "`models` is not a table", "`[models]`"),
        (
            "[models.gpt-5]\ninput_price = 1",
            "is neither a setting nor a model name",
            '`"openai:gpt-5"`',
        ),
        ("[models.'opnai:gpt-5']\ninput_price = 1", "unknown provider `opnai`", "did you mean `openai:gpt-5`?"),
        (
            "[models.'openai:m']\ninput_prise = 1",
            'unknown setting `models."openai:m".input_prise`',
            "did you mean `input_price`?",
        ),
        ("[models.'openai:m']\ninput_price = -1", "must be a number of at least 0", "input_price = 0.25"),
        ("[models.'openai:m']\ninput_price = true", "must be a number of at least 0", "input_price = 0.25"),
        ("[models.'openai:m']\ncontext_window = 0.5", "must be an integer of at least 1", "context_window = 128_000"),
        ("[models.'openai:m']\nquality = 6", "must be an integer from 1 to 5", "quality = 3"),
        ("[models.'openai:m']\ncapabilities = ['visoin']", "unknown capability `visoin`", "did you mean `vision`?"),
        ("[models.'openai:m']\ncapabilities = 'vision'", "must be a list of strings", "capabilities = "),
        ("[servers.lab]", "`servers.lab.base_url` is missing", "base_url = "),
        ("[servers.lab]\nbase_url = 'lab:80'", "must be the URL of a server", "http://"),
        ("[servers.lab]\nbase_url = 'http://me:pw@lab'", "contains a password", "api_key_env"),
        ("[servers.lab]\nbase_url = 'http://lab'\nkind = 'opnai'", "unknown kind `opnai`", "did you mean `openai`?"),
        ("[servers.lab]\nbase_url = 'http://lab'\ntimeout = 'long'", "is not a duration", 'timeout = "30s"'),
        ("[servers.lab]\nbase_url = 'http://lab'\napi_key_env = 'sk-12'", "not the key itself", "keys set lab"),
        ("[servers.lab]\nbase_url = 'http://lab'\nurl = 'x'", "unknown setting `servers.lab.url`", "base_url"),
        ("[servers.auto]\nbase_url = 'http://lab'", "invalid server name", "reserved"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_write(text: str, said: str, help: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        configured(tmp_path, text)
    assert caught.value.code == "ORC902"
    assert str(tmp_path / "orchestrator.toml") in caught.value.message
    assert said in caught.value.message
    assert help in caught.value.advice
    assert "pw" not in f"{caught.value}"
    assert "sk-12" not in f"{caught.value}"


def test_every_card_is_of_a_model_that_can_do_something_and_is_found_again() -> None:
    cards = CATALOGUE.cards()
    assert len({card.name for card in cards}) == len(cards) > 500
    for card in cards:
        assert card.capabilities <= set(CAPABILITIES)
        assert card.capabilities
        assert "moderation" not in card.name.model
    assert all(CATALOGUE.find(card.name) == card for card in CATALOGUE.cards("openai"))


def test_the_rules_of_our_table_are_all_reached() -> None:
    date, rules = _known()
    assert date >= "2026"
    names = {card.name.model.lower().rpartition("/")[2] for card in CATALOGUE.cards()}
    first = {next(pattern for pattern, _ in rules if pattern.search(name)) for name in names}
    at_home = ["llava", "starcoder2", "deepseek-coder:6.7b", "gemma:2b", "llama2", "codellama", "command-r"]
    at_home += ["dall-e-2", "dall-e-3"]
    first |= {next(pattern for pattern, _ in rules if pattern.search(name)) for name in at_home}
    unreached = [pattern.pattern for pattern, rule in rules if pattern not in first and rule["can"]]
    assert unreached == []


def test_the_catalogue_says_what_it_was_made_of() -> None:
    assert CATALOGUE.version.startswith("genai-prices ")
    assert "table of 20" in CATALOGUE.version


def test_nothing_of_the_prices_is_loaded_before_they_are_asked_for() -> None:
    script = (
        "import sys\n"
        "from orchestrator.models.catalog.entries import Catalogue\n"
        "from orchestrator.models.catalog.names import parse_model_name\n"
        "catalogue = Catalogue.load()\n"
        "parse_model_name('openai:gpt-5-mini', catalogue)\n"
        "assert not {'genai_prices', 'httpx2', 'pydantic_ai', 'openai'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_settings_of_a_provider_need_no_address(tmp_path: Path) -> None:
    settings = (
        '[servers.openai]\nstream = false\nmax_bytes = 1000\ntimeout = "5s"\n[servers.lab]\nbase_url = "http://lab"'
    )
    providers = configured(tmp_path, settings).providers
    known, lab = providers["openai"], providers["lab"]
    assert (known.stream, known.max_bytes, known.timeout) == (False, 1000, 5)
    assert replace(known, stream=True, max_bytes=None, timeout=None) == PROVIDERS["openai"]
    assert (lab.stream, lab.max_bytes) == (True, None)
