"""Which model is asked, what follows when it fails, and what is recorded: with a client that answers as it is told."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator.errors import (
    BudgetExceeded,
    ModelAnswerInvalid,
    ModelError,
    ModelMissing,
    ModelRateLimited,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
    StepError,
)
from orchestrator.models.budget import Budget, Ledger, Spent
from orchestrator.models.calls.gateway import Feedback, ModelChoice, Requirements
from orchestrator.models.calls.service import ModelService
from orchestrator.models.calls.token_estimate import MOST_OUTPUT
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.limits import Limits, LimitSettings, Rate
from orchestrator.models.limits.windows import PROVIDER
from orchestrator.models.messages import (
    Media,
    Message,
    ModelName,
    ModelReply,
    ModelRequest,
    ToolOffer,
    ToolRequest,
    Usage,
    note_request_sent,
)
from orchestrator.models.selection.candidates import Needs
from orchestrator.models.selection.default_model import ollama_is_running
from orchestrator.models.selection.requirements import choice_of
from tests.models.adapter.dialects import DIALECTS
from tests.models.adapter.wire import Server
from tests.models.asked import HELLO, Client, Host, replied
from tests.ollama import MODEL, Ollama

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.models.calls.gateway import ModelAnswer, ModelGateway

pytestmark = pytest.mark.anyio

MINI, HAIKU = "openai:gpt-5-mini", "anthropic:claude-haiku-4-5"
BOTH = ModelChoice((MINI, HAIKU))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS.values():
        for variable in (*provider.key_variables, *provider.own_keys, *provider.url_variables):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")  # nobody is there


class Setting:
    """A gateway with a client that answers as it is told."""

    def __init__(self, directory: Path, answers: dict[str, list[Any]] | None = None, **settings: Any) -> None:
        self.client = Client(answers or {})
        self.host = Host(**settings)
        self.service = ModelService(directory, client=self.client)

    def gateway(self, *ledgers: Ledger) -> ModelGateway:
        return self.service.for_run(ledgers).for_step(self.host, label="draft")

    async def ask(
        self, choice: ModelChoice, request: ModelRequest = HELLO, *ledgers: Ledger, **how: Any
    ) -> ModelAnswer:
        return await self.gateway(*ledgers).ask(choice, request, **how)

    @property
    def asked(self) -> list[str]:
        return [name for name, _, _ in self.client.asked]


def unavailable() -> ModelUnavailable:
    return ModelUnavailable("`openai:gpt-5-mini` answered with status 503: overloaded", status=503)


# --- which model


async def test_the_named_models_are_asked_in_their_order_and_the_call_is_recorded(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    answer = await setting.ask(BOTH)
    assert (str(answer.model), answer.value, answer.reply.text) == (MINI, "Hello.", "Hello.")
    assert answer.cost == pytest.approx((20 * 0.25 + 10 * 2.0) / 1_000_000)
    assert answer.why == "model 1 of 2 in the list"
    (call,) = setting.host.calls
    assert (str(call.model), call.cost, call.why, call.error) == (MINI, answer.cost, answer.why, None)
    assert call.usage.requests == 1
    assert setting.client.asked[0][2] == "draft"


async def test_a_name_that_means_nothing_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    with pytest.raises(ModelMissing) as raised:
        await setting.ask(ModelChoice((MINI, "opnai:gpt-5-mini")))
    assert "did you mean `openai:gpt-5-mini`?" in str(raised.value)
    assert setting.asked == []


async def test_without_a_choice_the_default_of_the_settings_is_asked(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(f'[models]\ndefault = "{HAIKU}"\n')
    answer = await Setting(tmp_path).ask(ModelChoice())
    assert (str(answer.model), answer.why) == (HAIKU, "`auto`: it is the default in orchestrator.toml")


async def test_what_answers_in_a_test_may_say_what_auto_is(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    setting.client.auto = ModelName("openai", "gpt-5-mini")  # type: ignore[attr-defined]
    assert str((await setting.ask(ModelChoice(("auto",)))).model) == MINI


async def test_without_a_key_and_an_ollama_no_model_answers_for_auto(tmp_path: Path) -> None:
    host = Host()
    service = ModelService(tmp_path)
    gateway = service.for_run().for_step(host)
    for choice in (ModelChoice(), ModelChoice(("auto",)), ModelChoice(("auto", "auto"))):
        with pytest.raises(ModelMissing, match="no model is available for `auto`"):
            await gateway.ask(choice, HELLO)
    assert host.calls == []
    await service.aclose()


async def test_an_ollama_that_runs_answers_for_auto_and_is_found_by_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = ModelService(tmp_path)
    assert not ollama_is_running(service.catalogue, service.keys)
    with Ollama({"Say hello": "Hello!"}) as ollama:
        for name, value in ollama.environment.items():
            monkeypatch.setenv(name, value)
        service = ModelService(tmp_path)
        assert ollama_is_running(service.catalogue, service.keys)
        answer = await service.for_run().for_step(Host()).ask(ModelChoice(), HELLO)
        await service.aclose()
    assert (str(answer.model), answer.value, answer.cost) == (MODEL, "Hello!", 0)
    assert answer.why == "`auto`: Ollama is running"


async def test_a_named_model_answers_where_auto_stands_for_none(tmp_path: Path) -> None:
    service = ModelService(tmp_path)
    (only,) = await service.candidates(ModelChoice(("auto", MINI)), Needs())
    assert str(only.name) == MINI
    await service.aclose()


async def test_a_model_is_selected_by_what_is_required(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    requires = Requirements(capabilities=frozenset({"vision"}), providers=("openai",), max_cost=1.0)
    answer = await setting.ask(ModelChoice(requires=requires, selection="cost"))
    assert answer.model.provider == "openai"
    assert answer.why.startswith("the cheapest of ")
    assert "vision, at openai, at most $1 per million tokens" in answer.why
    again = await setting.ask(ModelChoice(requires=requires, selection="cost"))
    assert again.model == answer.model


async def test_a_way_of_selecting_alone_chooses_among_all_that_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = choice_of(selection="quality")
    with pytest.raises(ModelMissing, match="no model is available for `auto`"):
        await ModelService(tmp_path).for_run().for_step(Host()).ask(choice, HELLO)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-a-real-key")
    card = await ModelService(tmp_path).for_run().for_step(Host()).card(choice)
    assert card is not None
    assert (card.name.provider, card.quality) == ("anthropic", 5)
    assert choice_of("ollama:llama3.2", selection="quality").requires is None


async def test_only_what_can_be_asked_from_here_is_selected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host()
    gateway = ModelService(tmp_path).for_run().for_step(host)
    with pytest.raises(ModelMissing, match=r"no available model fits \(vision\)") as raised:
        await gateway.ask(ModelChoice(requires=Requirements(capabilities=frozenset({"vision"}))), HELLO)
    assert "would fit: set " in str(raised.value.help)
    monkeypatch.setenv("MISTRAL_API_KEY", "not-a-real-key")
    service = ModelService(tmp_path)
    card = await service.for_run().for_step(host).card(ModelChoice(requires=Requirements(), selection="quality"))
    assert card is not None
    assert card.name.provider == "mistral"


async def test_what_is_sent_is_required_too(tmp_path: Path) -> None:
    picture = Message("user", ("What is it?", Media(b"\x89PNG", "image/png")))
    request = ModelRequest((picture,), tools=(ToolOffer("look", "Looks.", {}),), max_tokens=10)
    setting = Setting(tmp_path)
    answer = await setting.ask(ModelChoice(("deepseek:deepseek-v4-flash", MINI)), request)
    assert str(answer.model) == MINI
    assert answer.why == (
        "model 2 of 2 in the list, after `deepseek:deepseek-v4-flash` is not called: it cannot do vision"
    )
    with pytest.raises(ModelMissing, match="it cannot do vision"):
        await setting.ask(ModelChoice(("deepseek:deepseek-v4-flash",)), request)
    selected = await setting.ask(ModelChoice(requires=Requirements(providers=("deepseek", "openai"))), request)
    assert selected.model.provider == "openai"


async def test_a_model_that_runs_on_a_server_of_ones_own_is_found_when_it_is_needed(tmp_path: Path) -> None:
    dialect = DIALECTS["openai-chat"]
    answer = replace(dialect.answer("Hi."), body=b'{"data": [{"id": "qwen3-32b"}, {"id": "qwen3-4b"}]}')
    async with Server(answer) as server:
        (tmp_path / "orchestrator.toml").write_text(f'[servers.lab]\nbase_url = "{server.url}/v1"\n')
        gateway = ModelService(tmp_path).for_run().for_step(Host())
        card = await gateway.card(ModelChoice(requires=Requirements(min_size=20, max_cost=0)))
        assert card is not None
        assert str(card.name) == "lab:qwen3-32b"
        assert [asked.path for asked in server.asked] == ["/v1/models"]


# --- what follows when a model fails


@pytest.mark.parametrize(
    "error",
    [
        unavailable(),
        ModelRateLimited("over its rate", retry_after=7.0, status=429),
        ModelRefused("I would rather not", reply=replied("I would rather not")),
        ModelRejected("no such model", status=404),
        ModelMissing("no key"),
        ModelAnswerInvalid("no JSON"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_the_next_model_is_asked_when_one_fails(error: ModelError, tmp_path: Path) -> None:
    setting = Setting(tmp_path, {MINI: [error]})
    answer = await setting.ask(BOTH)
    assert str(answer.model) == HAIKU
    assert answer.why == f"model 2 of 2 in the list, after {error.message}"
    assert setting.host.models == [MINI, HAIKU]
    failed = setting.host.calls[0]
    assert failed.error is not None
    assert failed.error["type"] == type(error).__name__
    paid = isinstance(error, ModelRefused)
    assert failed.usage.output == (10 if paid else 0)
    assert failed.cost == 0 or paid or isinstance(error, ModelAnswerInvalid)


async def test_one_error_names_all_that_were_asked_and_may_pass_if_one_of_them_may(tmp_path: Path) -> None:
    answers: dict[str, list[Any]] = {
        MINI: [ModelRateLimited("over its rate", retry_after=7.0)],
        HAIKU: [ModelRejected("no such model")],
    }
    with pytest.raises(ModelRateLimited) as raised:
        await Setting(tmp_path, answers).ask(BOTH)
    assert raised.value.message == (
        "all 2 models failed: `openai:gpt-5-mini`: over its rate [ORC722]; "
        "`anthropic:claude-haiku-4-5`: no such model [ORC725]"
    )
    assert raised.value.retryable
    assert raised.value.retry_after == 7.0
    alone = Setting(tmp_path, {MINI: [ModelRejected("no such model")]})
    with pytest.raises(ModelRejected, match=r"^no such model") as only:
        await alone.ask(ModelChoice((MINI,)))
    assert not only.value.retryable


async def test_nobody_else_is_asked_after_a_cancel_and_what_came_is_counted(tmp_path: Path) -> None:
    class Endless(Client):
        async def ask(self, name, request, *, on_text=None):  # type: ignore[no-untyped-def]
            self.asked.append((str(name), request, ""))
            on_text("Once upon a time ")
            await asyncio.Event().wait()

    host, client, ledger = Host(), Endless(), Ledger(Budget(usd=1), "the run")
    gateway = ModelService(tmp_path, client=client).for_run([ledger]).for_step(host)
    task = asyncio.create_task(gateway.ask(BOTH, HELLO))
    await host.showing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (call,) = host.calls
    assert [name for name, _, _ in client.asked] == [MINI]
    assert call.error == {"code": None, "type": "CancelledError", "message": "the call was cancelled"}
    assert call.usage.output == 5
    assert ledger.held == Spent()
    assert ledger.spent.usd == call.cost
    assert call.cost


async def test_what_is_no_fault_of_a_model_is_not_mended_by_another(tmp_path: Path) -> None:
    setting = Setting(tmp_path, {MINI: [StepError("no recording")]})
    ledger = Ledger(Budget(requests=5), "the run")
    with pytest.raises(StepError, match="no recording"):
        await setting.ask(BOTH, HELLO, ledger)
    assert setting.asked == [MINI]
    assert ledger.held == Spent()


async def test_a_free_choice_is_not_followed_by_one_that_costs_unless_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(
        f'[models]\ndefault = "{MINI}"\n[models."ollama:qwen3:8b"]\ncapabilities = ["tools"]\nquality = 2\n'
    )
    gone = {"ollama:qwen3:8b": [ModelUnavailable("not running")]}
    silent = Setting(tmp_path, gone)
    with pytest.raises(ModelUnavailable, match="it is not free, unlike the first choice: name it to allow it"):
        await silent.ask(ModelChoice(("ollama:qwen3:8b", "auto")))
    assert silent.asked == ["ollama:qwen3:8b"]
    said = Setting(tmp_path, gone)
    assert str((await said.ask(ModelChoice(("ollama:qwen3:8b", MINI)))).model) == MINI
    selected = Setting(tmp_path, gone)
    with pytest.raises(ModelUnavailable):
        await selected.ask(ModelChoice(requires=Requirements(capabilities=frozenset({"tools"})), selection="cost"))
    assert selected.asked == ["ollama:qwen3:8b"]


# --- answers that are not accepted


def at_least(length: int) -> Any:
    def accept(reply: ModelReply) -> str:
        if len(reply.text) < length:
            raise ModelAnswerInvalid(f"the answer has {len(reply.text)} characters, not {length}")
        return reply.text.upper()

    return accept


async def test_an_answer_that_is_not_accepted_is_asked_for_once_more_with_the_reason(tmp_path: Path) -> None:
    setting = Setting(tmp_path, {MINI: ["short", "long enough"]})
    answer = await setting.ask(BOTH, accept=at_least(8))
    assert answer.value == "LONG ENOUGH"
    assert answer.why.endswith("called again because its answer could not be used")
    assert setting.host.models == [MINI, MINI]
    assert setting.host.calls[0].error is not None
    assert setting.host.calls[0].cost
    _, second, _ = setting.client.asked[1]
    assert [said.role for said in second.messages] == ["user", "assistant", "user"]
    assert second.messages[1].content == "short"
    assert "the answer has 5 characters, not 8" in str(second.messages[2].content)


async def test_after_two_such_answers_the_next_model_is_asked_afresh(tmp_path: Path) -> None:
    setting = Setting(tmp_path, {MINI: ["short"], HAIKU: ["long enough"]})
    answer = await setting.ask(BOTH, accept=at_least(8))
    assert str(answer.model) == HAIKU
    assert setting.asked == [MINI, MINI, HAIKU]
    assert setting.client.asked[2][1].messages == HELLO.messages
    with pytest.raises(ModelAnswerInvalid) as raised:
        await Setting(tmp_path, {MINI: ["no"]}).ask(ModelChoice((MINI,)), accept=at_least(8))
    assert raised.value.reply.text == "no"
    assert raised.value.model == "gpt-5-mini"


async def test_an_answer_that_asks_for_tools_in_a_wrong_way_is_answered_for_each_of_them(tmp_path: Path) -> None:
    asks = ModelReply("", requests=(ToolRequest("1", "look", {}), ToolRequest("2", "see", {})), finish="tools")

    def accept(reply: ModelReply) -> None:
        if reply.requests:
            raise ModelAnswerInvalid("there is no tool `see`")

    setting = Setting(tmp_path, {MINI: [asks, "Well."]})
    await setting.ask(ModelChoice((MINI,)), accept=accept)
    _, second, _ = setting.client.asked[1]
    assert [(said.role, said.request_id) for said in second.messages[1:]] == [
        ("assistant", ""), ("tool", "1"), ("tool", "2")
    ]  # fmt: skip


async def test_what_a_check_did_not_accept_is_told_with_its_reasons_and_passed_over_models_are_not_asked(
    tmp_path: Path,
) -> None:
    feedback = [Feedback("Hello!", ("it is too short", "it has no name"))]
    setting = Setting(tmp_path, feedback=feedback, passed_over=frozenset({ModelName("openai", "gpt-5-mini")}))
    answer = await setting.ask(BOTH)
    assert str(answer.model) == HAIKU
    _, request, _ = setting.client.asked[0]
    assert [said.content for said in request.messages[1:]] == [
        "Hello!",
        "That answer cannot be used: it is too short; it has no name. Fix this, and give the whole answer again.",
    ]
    await setting.ask(BOTH, final=False)
    assert setting.client.asked[1][1].messages == HELLO.messages
    with pytest.raises(ModelMissing, match="its answers were not accepted"):
        await setting.ask(ModelChoice((MINI,)))


async def test_only_the_answer_itself_is_streamed(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    await setting.ask(BOTH, final=False)
    assert setting.host.shown == []
    await setting.ask(BOTH)
    assert setting.host.shown == ["Hello."]


# --- budgets


async def test_a_cheaper_model_is_asked_where_the_first_does_not_fit_and_the_answer_says_so(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    dear, cheap = "anthropic:claude-opus-4-5", "openai:gpt-5-nano"
    answer = await setting.ask(ModelChoice((dear, cheap)), HELLO, Ledger(Budget(usd=0.001), "the run"))
    assert str(answer.model) == cheap
    assert answer.why.startswith("model 2 of 2 in the list, after the budget of the run is $0.001: $0.00 spent")
    assert setting.asked == [cheap]
    with pytest.raises(BudgetExceeded, match="all 2 models failed") as raised:
        await setting.ask(ModelChoice((dear, cheap)), HELLO, Ledger(Budget(usd=1e-6), "the run"))
    assert raised.value.scope == "the run"
    assert setting.asked == [cheap]


async def test_a_refused_request_costs_nothing_and_a_broken_connection_what_was_sent(tmp_path: Path) -> None:
    setting = Setting(tmp_path, {MINI: [unavailable(), ModelUnavailable("the connection broke")]})
    ledger = Ledger(Budget(usd=1), "the run")
    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            await setting.ask(ModelChoice((MINI,)), HELLO, ledger)
    refused, broken = setting.host.calls
    assert (refused.cost, refused.usage) == (0.0, Usage(requests=1))
    assert (broken.cost, broken.usage) == (7 * 0.25 / 1e6, Usage(input=7, requests=1))
    assert ledger.spent == Spent(7 * 0.25 / 1e6, 7, 2)


async def test_a_call_that_breaks_off_before_anything_is_sent_is_none(tmp_path: Path) -> None:
    class Absent(Client):
        async def ask(self, name, request, *, on_text=None):  # type: ignore[no-untyped-def]
            note_request_sent(sent=False)
            raise ModelUnavailable("nobody is there")

    host, ledger = Host(), Ledger(Budget(usd=1), "the run")
    with pytest.raises(ModelUnavailable):
        await ModelService(tmp_path, client=Absent()).for_run([ledger]).for_step(host).ask(ModelChoice((MINI,)), HELLO)
    assert ([(call.cost, call.usage) for call in host.calls], ledger.spent) == ([(0.0, Usage())], Spent())


async def test_an_answer_whose_usage_nobody_tells_is_counted_by_its_size(tmp_path: Path) -> None:
    silent = [ModelReply("Hello. " * 100, requests=(ToolRequest("1", "look", {"at": "it"}),), model="said")]
    setting = Setting(tmp_path, {MINI: silent})
    ledger = Ledger(Budget(tokens=1000), "the run")
    answer = await setting.ask(ModelChoice((MINI,)), HELLO, ledger)
    (call,) = setting.host.calls
    assert call.usage == replace(answer.reply.usage, requests=1)
    assert call.usage.input > 0
    assert 175 <= call.usage.output < 200
    assert call.cost
    assert ledger.spent.tokens == call.usage.input + call.usage.output


async def test_an_answer_is_limited_where_the_provider_or_a_budget_wants_it(tmp_path: Path) -> None:
    unlimited = replace(HELLO, max_tokens=None)
    setting = Setting(tmp_path)
    await setting.ask(ModelChoice((MINI,)), unlimited)
    await setting.ask(ModelChoice((HAIKU,)), unlimited)
    await setting.ask(ModelChoice((MINI,)), unlimited, Ledger(Budget(usd=1), "the run"))
    await setting.ask(ModelChoice((MINI,)), unlimited, Ledger(Budget(requests=1), "the run"))
    await setting.ask(ModelChoice((MINI,)), HELLO, Ledger(Budget(usd=1), "the run"))
    limits = [request.max_tokens for _, request, _ in setting.client.asked]
    assert limits == [None, MOST_OUTPUT, MOST_OUTPUT, None, 100]


# --- limits


async def test_a_model_whose_turn_is_far_off_is_followed_by_the_next_and_keeps_nothing(tmp_path: Path) -> None:
    rates = {"openai": {PROVIDER: Rate(requests=1)}}
    setting = Setting(tmp_path)
    setting.service.limits = Limits(LimitSettings(rates, longest_wait=0.0))
    ledger = Ledger(Budget(requests=5), "the run")
    answers = [await setting.ask(BOTH, HELLO, ledger) for _ in range(2)]
    assert [str(answer.model) for answer in answers] == [MINI, HAIKU]
    assert "is rate-limited for at least another" in answers[1].why
    assert setting.host.models == [MINI, HAIKU]
    assert (ledger.spent.requests, ledger.held.requests) == (2, 0)


async def test_a_provider_that_has_refused_a_call_is_left_alone(tmp_path: Path) -> None:
    setting = Setting(tmp_path, {MINI: [ModelRateLimited("too many", retry_after=30.0, status=429), "Hello."]})
    setting.service.limits = Limits(LimitSettings(longest_wait=0.0))
    for _ in range(2):
        with pytest.raises(ModelRateLimited) as raised:
            await setting.ask(ModelChoice((MINI,)))
    assert setting.asked == [MINI]
    assert raised.value.retry_after == pytest.approx(30, abs=5)


async def test_what_an_answer_says_is_left_is_kept_to(tmp_path: Path) -> None:
    left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30s"}
    setting = Setting(tmp_path, {MINI: [ModelReply("Hello.", limits=left), "Hello."]})
    setting.service.limits = Limits(LimitSettings(longest_wait=0.0))
    await setting.ask(ModelChoice((MINI,)))
    with pytest.raises(ModelRateLimited, match="it has no requests left"):
        await setting.ask(ModelChoice((MINI,)))
    assert setting.asked == [MINI]


# --- vectors


async def test_vectors_are_made_by_the_named_model_or_the_cheapest_that_makes_them(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    ledger = Ledger(Budget(usd=1), "the run")
    vectors, answer = await setting.gateway(ledger).embed(ModelChoice(("openai:text-embedding-3-small",)), ["a", "bcd"])
    assert vectors.vectors == ((1.0,), (3.0,))
    assert str(answer.model) == "openai:text-embedding-3-small"
    assert answer.cost == pytest.approx(2 * 0.02 / 1e6)
    assert ledger.spent.usd == answer.cost
    _, chosen = await setting.gateway().embed(ModelChoice(requires=Requirements(providers=("openai",))), ["a"])
    assert str(chosen.model) == "openai:text-embedding-3-small"
    with pytest.raises(ModelMissing, match="it does not create embeddings"):
        await setting.gateway().embed(ModelChoice((MINI,)), ["a"])
    with pytest.raises(ModelMissing, match="it creates embeddings, not text"):
        await setting.ask(ModelChoice(("openai:text-embedding-3-small",)))


# --- the real client


async def test_a_real_server_is_asked_and_the_next_one_when_it_is_ill(tmp_path: Path) -> None:
    dialect = DIALECTS["openai-chat"]
    async with Server(dialect.failure(503)) as ill, Server(dialect.stream("Par", "is.")) as well:
        (tmp_path / "orchestrator.toml").write_text(
            f'[servers.ill]\nbase_url = "{ill.url}/v1"\n[servers.well]\nbase_url = "{well.url}/v1"\n'
        )
        host = Host()
        service = ModelService(tmp_path)
        answer = await service.for_run().for_step(host).ask(ModelChoice(("ill:m", "well:m")), HELLO)
        await service.aclose()
    assert (answer.value, answer.cost) == ("Paris.", 0.0)
    assert "status 503" in answer.why
    assert "".join(host.shown) == "Paris."
    assert [len(server.asked) for server in (ill, well)] == [1, 1]


def test_no_library_of_a_provider_is_loaded_before_a_call(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from orchestrator.models.calls.service import ModelService; "
        "service = ModelService(pathlib.Path('.')); service.for_run(); "
        "print(sorted({'pydantic_ai', 'openai', 'anthropic', 'httpx2', 'genai_prices'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
