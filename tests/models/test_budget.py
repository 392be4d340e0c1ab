import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import BudgetExceeded, ConfigurationError, ModelError, ModelRefused, ModelUnavailable
from orchestrator.models.budget import (
    Budget,
    Estimate,
    Ledger,
    Reservation,
    Spent,
    exact_usd,
    reserve_all,
    settle_all,
    usd,
)
from orchestrator.models.calls.gateway import ModelChoice
from orchestrator.models.calls.project_budget import ProjectBudget, ProjectLedger
from orchestrator.models.calls.service import ModelService
from orchestrator.models.calls.token_estimate import estimate_of, prompt_tokens
from orchestrator.models.messages import Message, ModelName, ModelReply, ModelRequest, Usage
from tests.models.asked import Client, Host

NAME = ModelName("lab", "m")
PRICES = """
[servers.lab]
base_url = "http://localhost:1/v1"
[models."lab:m"]
input_price = 1.0
output_price = 10.0
max_output = 500
"""
PROMPT = ModelRequest((Message("user", "Write about the sun, and the moon, and all the stars that one can see."),))


# --- one ledger

amounts = st.builds(Spent, st.sampled_from([0.0, 0.001, 0.25, 1.0]), st.integers(0, 50), st.just(1))


@given(st.lists(st.tuples(amounts, st.booleans())), st.integers(1, 200), st.integers(1, 10))
def test_what_is_spent_and_kept_never_passes_a_limit(
    calls: list[tuple[Spent, bool]], tokens: int, requests: int
) -> None:
    ledger = Ledger(Budget(usd=2.0, tokens=tokens, requests=requests), "the run")
    open_calls = []
    for amount, ends in calls:
        estimate = Estimate(NAME, amount.usd, amount.tokens)
        fits = not ledger.is_full_for(estimate)
        try:
            open_calls.append((ledger.reserve(estimate), amount))
            assert fits
        except BudgetExceeded:
            assert not fits
        if ends and open_calls:
            reservation, taken = open_calls.pop(0)
            ledger.settle(reservation, taken)
        total = ledger.spent + ledger.held
        assert (total.usd, total.tokens, total.requests) <= (2.0 + 1e-9, 10**9, 10**9)
        assert total.tokens <= tokens
        assert total.requests <= requests
    for reservation, _ in open_calls:
        ledger.settle(reservation, Spent())
        ledger.settle(reservation, Spent(usd=9.0))  # a second time is nothing
    assert ledger.held == Spent()


def test_ten_dimes_are_a_dollar() -> None:
    ledger = Ledger(Budget(usd=1.0), "the run")
    for _ in range(10):
        ledger.settle(ledger.reserve(Estimate(NAME, 0.1, 1)), Spent(0.1))
    with pytest.raises(BudgetExceeded):
        ledger.reserve(Estimate(NAME, 0.01, 1))


def test_the_error_says_what_is_limited_spent_and_wanted() -> None:
    ledger = Ledger(Budget(usd=0.5), "step `draft`", Spent(usd=0.45))
    with pytest.raises(BudgetExceeded) as raised:
        ledger.reserve(Estimate(NAME, 0.082, 9000))
    assert raised.value.message == (
        "the budget of step `draft` is $0.50: $0.45 spent, and the next call of `lab:m` could take up to $0.082"
    )
    assert "raise `budget` and resume" in str(raised.value.help)
    assert not raised.value.retryable
    count = Ledger(Budget(requests=1), "the run", Spent(requests=1))
    with pytest.raises(BudgetExceeded, match=r"is 1 request: 1 spent, and the next call of `lab:m` would be one more"):
        count.reserve(Estimate(NAME, None, 9000))
    tokens = Ledger(Budget(tokens=9000), "the run")
    tokens.reserve(Estimate(NAME, None, 8000))
    with pytest.raises(
        BudgetExceeded,
        match=r"9,000 tokens: 0 tokens spent, 8,000 tokens reserved for in-flight calls, and .* 2,000 tokens",
    ):
        tokens.reserve(Estimate(NAME, None, 2000))


def test_a_price_that_is_not_known_is_no_match_for_a_budget_in_money() -> None:
    ledger = Ledger(Budget(usd=100), "the run")
    with pytest.raises(BudgetExceeded, match="the price of `lab:m` is unknown") as raised:
        ledger.reserve(Estimate(NAME, None, 1))
    assert '[models."lab:m"]' in str(raised.value.help)
    assert not ledger.could_fit(Estimate(NAME, None, 1))


def test_a_call_is_kept_in_all_ledgers_or_in_none() -> None:
    wide, narrow = Ledger(Budget(requests=5), "the run"), Ledger(Budget(requests=1), "the step")
    held = reserve_all([wide, narrow], Estimate(NAME, 0, 1))
    with pytest.raises(BudgetExceeded, match="the step"):
        reserve_all([wide, narrow], Estimate(NAME, 0, 1))
    assert wide.held.requests == 1
    settle_all(held, Spent(requests=1))
    assert wide.spent == narrow.spent == Spent(requests=1)


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0, "$0.00"), (12.345, "$12.35"), (0.0123, "$0.012"), (0.00005, "$0.00005"), (2e-6, "$0.000002")],
)
def test_money_is_read_easily(amount: float, said: str) -> None:
    assert usd(amount) == said


@pytest.mark.parametrize(
    ("amount", "said"), [(2, "$2"), (100, "$100"), (0.00005, "$0.00005"), (0.125, "$0.125"), (0.1 + 0.2, "$0.3")]
)
def test_a_limit_is_said_with_all_its_digits(amount: float, said: str) -> None:
    assert exact_usd(amount) == said


# --- a hundred calls at once


@dataclass(frozen=True)
class Plan:
    """How one call goes: how many tokens it may write, writes, how soon, and how it ends."""

    allowed: int
    written: int
    turns: int
    end: str


plans = st.builds(
    lambda allowed, share, turns, end: Plan(allowed, int(allowed * share), turns, end),
    st.integers(1, 400),
    st.floats(0, 1),
    st.integers(0, 4),
    st.sampled_from(["answers"] * 6 + ["is refused", "breaks off", "is cancelled", "is cut off"]),
)


class Planned(Client):
    """Answers each call as planned, by its seed, and takes `excess` tokens beyond what is allowed."""

    def __init__(self, plans: list[Plan], excess: int = 0) -> None:
        super().__init__()
        self.plans, self.excess = plans, excess
        self.under_way = 0
        self.most = 0

    async def ask(self, name, request, *, on_text=None):  # type: ignore[no-untyped-def]
        plan = self.plans[request.seed]
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(plan.turns):
                await asyncio.sleep(0)
            usage = Usage(input=prompt_tokens(request), output=plan.written + self.excess, requests=1)
            match plan.end:
                case "is refused":
                    raise ModelRefused("no", reply=ModelReply("no", usage=usage))
                case "breaks off":
                    raise ModelUnavailable("gone")
                case "is cut off":
                    if on_text is not None:
                        on_text("x" * min(4 * plan.written, 40))
                    raise ModelUnavailable("gone")
                case "is cancelled":
                    await asyncio.Event().wait()
            return ModelReply("ok", usage=usage)
        finally:
            self.under_way -= 1


async def all_at_once(directory: Path, budgets: list[Budget], client: Planned) -> tuple[list[Ledger], Host]:
    ledgers = [Ledger(budget, f"scope {number}") for number, budget in enumerate(budgets)]
    service = ModelService(directory, client=client)
    host = Host()
    run = service.for_run(ledgers[:1])

    async def one(number: int, plan: Plan) -> None:
        request = ModelRequest(PROMPT.messages, max_tokens=plan.allowed, seed=number)
        gateway = run.for_step(host, ledgers[1:], label=f"step[{number}]")
        await gateway.ask(ModelChoice(("lab:m",)), request)

    tasks = [asyncio.create_task(one(number, plan)) for number, plan in enumerate(client.plans)]
    cancelled = [task for task, plan in zip(tasks, client.plans, strict=True) if plan.end == "is cancelled"]
    rest = asyncio.gather(*(task for task in tasks if task not in cancelled), return_exceptions=True)
    # Those that never answer hold what is kept for them, so others may have to wait until they are cancelled.
    for task in cancelled:
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert outcome is None or isinstance(outcome, ModelError | asyncio.CancelledError), outcome
    await rest
    return ledgers, host


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("priced")
    (directory / "orchestrator.toml").write_text(PRICES)
    return directory


@settings(max_examples=40)
@given(
    calls=st.lists(plans, min_size=1, max_size=100),
    money=st.sampled_from([0.002, 0.01, 0.05]),
    tokens=st.integers(50, 5000),
    requests=st.integers(1, 60),
)
def test_a_hundred_calls_at_once_keep_every_budget_and_leave_nothing_behind(
    priced: Path, calls: list[Plan], money: float, tokens: int, requests: int
) -> None:
    client = Planned(calls)
    budgets = [Budget(usd=money), Budget(tokens=tokens), Budget(requests=requests)]
    ledgers, host = asyncio.run(all_at_once(priced, budgets, client))
    in_money, in_tokens, in_requests = (ledger.spent for ledger in ledgers)
    assert in_money.usd <= money * (1 + 1e-9)
    assert in_tokens.tokens <= tokens
    assert in_requests.requests <= requests
    assert [ledger.held for ledger in ledgers] == [Spent()] * 3
    # What the ledgers have is what the journal has.
    total = sum((call.usage for call in host.calls), Usage())
    assert in_money == in_tokens == in_requests
    assert (in_money.tokens, in_money.requests) == (total.input + total.output, total.requests)
    assert in_money.usd == pytest.approx(sum(call.cost or 0 for call in host.calls))


@settings(max_examples=30)
@given(calls=st.lists(plans, min_size=1, max_size=100), tokens=st.integers(50, 5000), excess=st.integers(1, 50))
def test_a_limit_is_passed_by_no_more_than_what_calls_took_beyond_their_estimates(
    priced: Path, calls: list[Plan], tokens: int, excess: int
) -> None:
    client = Planned(calls, excess)
    (ledger,), _ = asyncio.run(all_at_once(priced, [Budget(tokens=tokens)], client))
    assert ledger.spent.tokens <= tokens + client.most * excess
    assert ledger.held == Spent()


def test_one_call_after_another_passes_a_limit_by_one_misestimate_at_most(priced: Path) -> None:
    client = Planned([Plan(100, 100, 0, "answers")] * 20, excess=30)
    ledger = Ledger(Budget(tokens=1000), "the run")

    async def one_by_one() -> None:
        run = ModelService(priced, client=client).for_run([ledger])
        for number in range(20):
            request = ModelRequest(PROMPT.messages, max_tokens=100, seed=number)
            try:
                await run.for_step(Host()).ask(ModelChoice(("lab:m",)), request)
            except BudgetExceeded:
                return

    asyncio.run(one_by_one())
    assert 1000 - 150 < ledger.spent.tokens <= 1000 + 30


def test_a_call_waits_while_others_keep_more_than_they_may_take(priced: Path) -> None:
    # Each keeps 400 tokens and takes ten: a budget for two at once is enough for all, one after another.
    client = Planned([Plan(400, 10, 2, "answers")] * 10)
    (ledger,), host = asyncio.run(all_at_once(priced, [Budget(tokens=1000)], client))
    assert len(host.calls) == 10
    assert all(call.error is None for call in host.calls)
    assert client.most == 2
    assert set(host.waits) == {"the budget of scope 0 is reserved for in-flight calls"}
    assert ledger.spent.requests == 10


def test_many_that_wait_for_a_budget_do_not_all_try_whenever_one_call_has_ended(priced: Path) -> None:
    client = Planned([Plan(400, 10, 1, "answers")] * 400)
    tried = 0

    class Counted(Ledger):
        def reserve(self, estimate: Estimate) -> Reservation:
            nonlocal tried
            tried += 1
            return super().reserve(estimate)

    async def all_of_them() -> None:
        run = ModelService(priced, client=client).for_run([Counted(Budget(tokens=50_000), "the run")])
        requests = [ModelRequest(PROMPT.messages, max_tokens=400, seed=number) for number in range(400)]
        await asyncio.gather(*(run.for_step(Host()).ask(ModelChoice(("lab:m",)), request) for request in requests))

    asyncio.run(all_of_them())
    assert 400 <= tried <= 4 * 400


# --- estimates


@given(st.text(max_size=400), st.integers(1, 10**6))
def test_an_estimate_grows_with_what_is_sent(text: str, most: int) -> None:
    def asked(words: str) -> ModelRequest:
        return ModelRequest((Message("user", words),), max_tokens=most)

    assert prompt_tokens(asked(text + "more")) > prompt_tokens(asked(text)) >= len(text) / 4


def test_an_estimate_is_of_the_right_size(priced: Path) -> None:
    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.messages import Media

    catalogue = Catalogue.load(priced)
    english = "The sun is a star, and so are most of the small lights that can be seen in the night sky. " * 40
    assert 700 < prompt_tokens(ModelRequest((Message("user", english),))) < 1000
    image = Media(b"\x89PNG", "image/png")
    assert prompt_tokens(ModelRequest((Message("user", ("What is it?", image)),))) > 1500
    estimate = estimate_of(NAME, ModelRequest((Message("user", "x" * 400),)), catalogue)
    assert estimate.tokens == 104 + 500
    assert estimate.usd == pytest.approx((104 * 1.0 + 500 * 10.0) / 1_000_000)
    unknown = estimate_of(ModelName("openai", "of-next-year"), PROMPT, catalogue)
    assert unknown.usd is None


# --- the budget of a project


def test_a_period_begins_with_its_day_or_month() -> None:
    now = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC).timestamp()

    def begun(period: str) -> str:
        return datetime.fromtimestamp(ProjectBudget(Budget(), period).begun(now), UTC).isoformat()  # type: ignore[arg-type]

    assert begun("day") == "2026-03-14T00:00:00+00:00"
    assert begun("month") == "2026-03-01T00:00:00+00:00"
    assert begun("all") == "1970-01-01T00:00:00+00:00"


def test_a_project_knows_what_others_spend_and_begins_anew_with_the_next_day() -> None:
    now = datetime(2026, 3, 14, 23, 59, 0, tzinfo=UTC).timestamp()
    in_store = {"spent": Spent(usd=3.0)}
    asked: list[float] = []

    def spent_since(since: float) -> Spent:
        asked.append(since)
        return in_store["spent"]

    clock = [now]
    project = ProjectLedger(ProjectBudget(Budget(usd=5), "day"), spent_since, clock=lambda: clock[0])
    assert project.is_due()
    project.refresh()
    assert not project.is_due()
    project.ledger.settle(project.ledger.reserve(Estimate(NAME, 1.0, 1)), Spent(usd=1.0))
    clock[0] += 31
    assert project.is_due()
    project.refresh()  # the store has not got it yet
    assert project.ledger.spent.usd == 4.0
    in_store["spent"] = Spent(usd=4.5)
    project.refresh()
    with pytest.raises(BudgetExceeded, match=r"the budget of the project today is \$5.00: \$4.50 spent") as raised:
        project.ledger.reserve(Estimate(NAME, 1.0, 1))
    assert "raise `[budget]` of orchestrator.toml" in str(raised.value.help)
    clock[0] += 60
    in_store["spent"] = Spent()
    assert project.is_due()
    project.refresh()
    assert project.ledger.spent == Spent()
    assert asked[-1] - asked[0] == 24 * 3600


def test_the_budget_of_a_project_holds_for_all_its_runs(priced: Path, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(PRICES + '[budget]\nrequests = 3\nperiod = "month"\n')
    service = ModelService(tmp_path, client=Client(), spent_since=lambda since: Spent(requests=1 if since else 0))

    async def runs() -> None:
        for _ in range(2):
            await service.for_run().for_step(Host()).ask(ModelChoice(("lab:m",)), PROMPT)
        with pytest.raises(BudgetExceeded, match="the project this month is 3 requests: 3 spent"):
            await service.for_run().for_step(Host()).ask(ModelChoice(("lab:m",)), PROMPT)

    asyncio.run(runs())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[budget]\nusd = -1\n", "must be a number of at least 0"),
        ('[budget]\nusd = 1\nperiod = "mnth"\n', "did you mean `month`?"),
        ("[budget]\ndollars = 1\n", "unknown setting `budget.dollars`"),
    ],
)
def test_a_wrong_budget_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        ProjectBudget.load(tmp_path)
    assert said in str(raised.value)


def test_without_a_budget_there_is_none(tmp_path: Path) -> None:
    assert ProjectBudget.load(tmp_path) is None
    assert ProjectBudget(Budget(usd=1)).begun(time.time()) == 0
