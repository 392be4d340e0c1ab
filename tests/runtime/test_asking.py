"""Steps that ask models: what they take is recorded, summed up, and kept within budgets, over any number of owners."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.models.messages import ModelReply
from orchestrator.remedies import Resume, remedies_from
from orchestrator.testing import FakeModel
from tests.models.asked import Client, replied
from tests.runtime.support import ended, states

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.journal import Event

MODEL = "openai:gpt-5-mini"
PRICE = (20 * 0.25 + 10 * 2.0) / 1e6
"""USD of an answer of `replied`, by the catalogue."""

Make = Callable[..., orc.Orchestrator]


def asks(id: str, prompt: str = "Say it.", **more: Any) -> dict[str, Any]:
    return {"id": id, "prompt": prompt, "max_tokens": 10, **more}


def pipeline(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "test", "model": MODEL, **more, "steps": list(steps)}


@pytest.fixture
def models() -> Client:
    return Client({})


@pytest.fixture
def make(url: str, tmp_path: Path, models: Client) -> Iterator[Make]:
    """Makes orchestrators that share a store, as processes do."""
    made: list[orc.Orchestrator] = []

    def another(**options: Any) -> orc.Orchestrator:
        made.append(orc.Orchestrator(store=url, directory=tmp_path, **{"models": models, **options}))
        return made[-1]

    yield another
    for client in made:
        client.close()


def calls(result: orc.Result) -> list[Event]:
    return [event for event in result.log if event.type == "step.model"]


def error_of(result: orc.Result) -> dict[str, Any]:
    assert result.error is not None
    return dict(result.error)


# --- what is recorded


def test_every_call_is_an_event_and_its_sums_are_in_steps_loops_results_and_statuses(make: Make, models: Client):
    client = make()
    loop = {"id": "each", "for_each": [1, 2, 3], "steps": [asks("say", "Say {{ item }}."), asks("again")]}
    result = client.compile(pipeline(asks("first"), loop)).run()
    assert next(event.path for event in calls(result)) == "first"
    assert calls(result)[0].data["model"] == MODEL
    assert calls(result)[0].data["cost"] == pytest.approx(PRICE)
    counts = {path: result.steps[path].spending.calls for path in result.steps}
    assert counts["first"] == counts["each[1].say"] == 1
    assert (counts["each[1]"], counts["each"]) == (2, 6)
    assert result.steps["each"].usage.output == 60
    assert result.steps["each"].cost == pytest.approx(6 * PRICE)
    assert result.usage.input == 7 * 20
    assert result.cost == pytest.approx(7 * PRICE)
    status = client.get_run(result.run_id).status()
    assert (status.spending, status.to_dict()["model_calls"]) == (result.spending, 7)
    assert result.to_dict()["steps"]["each"]["usage"]["requests"] == 6


def test_a_price_that_is_not_known_is_not_said_to_be_nothing(make: Make):
    result = make().compile(pipeline(asks("a"), asks("b", model="openai:no-such-model"))).run()
    assert result.cost is result.steps["b"].cost is None
    assert result.steps["a"].cost == result.spending.known_cost == pytest.approx(PRICE)
    assert result.spending.unpriced == 1


def test_what_was_spent_stays_when_a_run_goes_on_and_when_a_step_is_done_again(make: Make, models: Client):
    models.answers[MODEL] = ["one", orc.ModelRejected("no"), "two", "three"]
    first = make()
    failed = ended(first.compile(pipeline(asks("a"), asks("b", "{{ a }}"))))
    assert (states(failed), failed.spending.calls) == ({"a": "succeeded", "b": "failed"}, 2)
    first.close()
    second = make()
    done = second.resume(failed.run_id).result()
    assert (done.spending.calls, done.steps["b"].spending.calls) == (3, 2)
    again = second.retry(failed.run_id, "b").result()
    assert (again.spending.calls, again.steps["a"].spending.calls, again.steps["b"].spending.calls) == (4, 1, 3)


def test_a_fork_has_not_paid_for_what_it_shares(make: Make):
    client = make()
    result = client.compile(pipeline(asks("a"), asks("b", "{{ a }}"))).run()
    forked = client.fork(result.run_id, from_step="b").result()
    assert (forked.spending.calls, forked.steps["a"].spending.calls) == (1, 0)
    assert forked.steps["a"].output["text"] == "Hello."


def test_a_run_without_a_model_step_loads_nothing_of_what_asks_them(tmp_path: Path):
    program = """
import sys, orchestrator as orc
steps = [{"id": "a", "action": "echo", "parameters": {"value": 1}}]
@orc.tool
def echo(context: orc.ToolContext, value: int) -> int:
    return value
with orc.Orchestrator(tools=[echo]) as client:
    assert client.compile({"id": "p", "steps": [{"id": "a", "tool": "echo", "parameters": {"value": 1}}]}).run()
    assert not client.backend.services._open
wanted = (
    "actions.", "catalog.entries", "catalog.keys", "catalog.settings",
    "clients", "limits", "selection", "recordings", "calls.service",
)
print([name for name in sys.modules if name.startswith(tuple(f"orchestrator.models.{one}" for one in wanted))])
"""
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "[]"


# --- budgets


def test_a_budget_that_is_used_up_ends_the_run_and_a_larger_one_goes_on_without_asking_again(
    make: Make, models: Client
):
    steps = [asks("a"), asks("b", "{{ a }}"), asks("c", "{{ b }}")]
    first = make()
    failed = ended(first.compile(pipeline(*steps)).with_options(budget=orc.Budget(requests=2)))
    error = error_of(failed)
    assert (error["code"], error["step"], len(models.asked)) == ("ORC727", "c", 2)
    assert "the budget of the run is 2 requests" in error["message"]
    assert remedies_from(error["remedies"]) == (Resume(failed.run_id, budget="4requests"),)
    first.close()
    second = make()
    still = ended_again(second, failed.run_id)
    assert (error_of(still)["code"], len(models.asked)) == ("ORC727", 2)
    done = second.resume(failed.run_id, budget=orc.Budget(requests=3)).result()
    assert (done.state, len(models.asked), done.spending.calls) == ("succeeded", 3, 3)
    assert second.get_run(failed.run_id).status().budget == {"requests": 3}


def ended_again(client: orc.Orchestrator, run_id: str, **more: Any) -> orc.Result:
    try:
        return client.resume(run_id, **more).result()
    except orc.RunFailed as stop:
        result: orc.Result = stop.result
        return result


def test_a_larger_budget_that_was_given_once_holds_for_later_owners_too(make: Make, models: Client):
    models.answers[MODEL] = ["1", "2", orc.ModelRejected("no"), "3"]
    steps = [asks("a"), asks("b", "{{ a }}"), asks("c", "{{ b }}")]
    client = make()
    failed = ended(client.compile(pipeline(*steps, budget={"requests": 1})))
    assert error_of(failed)["code"] == "ORC727"
    failed = ended_again(client, failed.run_id, budget=orc.Budget(requests=9))
    assert error_of(failed)["code"] == "ORC725"
    assert ended_again(client, failed.run_id).state == "succeeded"


@pytest.mark.parametrize("limit", [0.0001, 0.02, 0.039])
def test_the_budget_that_the_help_names_is_enough_for_the_call_that_was_not_made(tmp_path: Path, limit: float):
    step = {"id": "a", "prompt": "Write.", "model": "openai:gpt-5-mini", "max_tokens": 20_000}
    with orc.Orchestrator(directory=tmp_path, models=FakeModel("A text.")) as client:
        failed = ended(client.compile({"budget": {"usd": limit}, "steps": [step]}))
    named = re.fullmatch(r"([0-9.]+)usd", error_of(failed)["remedies"][0]["budget"])
    assert named
    with orc.Orchestrator(
        directory=tmp_path, models=FakeModel("A text."), budget=orc.Budget(float(named[1]))
    ) as client:
        assert client.resume(failed.run_id).result().state == "succeeded"


@pytest.mark.parametrize("policy", ["continue", {"value": "nothing"}])
def test_no_policy_of_a_step_hides_that_the_run_may_spend_no_more(make: Make, models: Client, policy: Any):
    steps = [
        asks("a"),
        {
            "id": "each",
            "for_each": [1, 2, 3],
            "dependencies": ["a"],
            "on_item_failure": "continue",
            "steps": [asks("say", on_failure=policy, on_error=[{"fallback": "none"}])],
        },
    ]
    result = ended(make().compile(pipeline(*steps, budget={"requests": 1})))
    assert (result.state, error_of(result)["code"], len(models.asked)) == ("failed", "ORC727", 1)
    assert result.steps["each"].state == "cancelled"


def test_the_budget_of_a_step_is_for_all_that_stands_in_it_and_its_policies_hold(make: Make, models: Client):
    steps = [
        {
            "id": "each",
            "for_each": [1, 2, 3],
            "max_parallel": 1,
            "budget": {"requests": 2},
            "on_item_failure": "continue",
            "steps": [asks("say", "Say {{ item }}.")],
        },
        asks("last", "{{ each | to_json }}"),
    ]
    result = make().compile(pipeline(*steps)).run()
    assert [result.steps[f"each[{n}]"].state for n in range(3)] == ["succeeded", "succeeded", "failed"]
    message = (result.steps["each[2].say"].error or {})["message"]
    assert "the budget of step `each` is 2 requests" in message
    assert (result.steps["last"].state, len(models.asked)) == ("succeeded", 3)


def test_a_resumed_run_knows_what_its_steps_with_budgets_had_spent(make: Make, models: Client):
    models.answers[MODEL] = ["1", "2", orc.ModelRejected("no"), "3"]
    group = {"id": "all", "budget": {"requests": 3}, "steps": [asks(name) for name in "abcd"]}
    for one, before in zip(group["steps"][1:], "abc", strict=True):  # type: ignore[index, arg-type]
        one["dependencies"] = [before]
    client = make()
    failed = ended(client.compile(pipeline(group)))
    assert error_of(failed)["code"] == "ORC725"
    again = ended_again(make(), failed.run_id)
    assert (error_of(again)["code"], len(models.asked)) == ("ORC727", 3)
    assert "3 spent" in error_of(again)["message"]


def test_calls_side_by_side_do_not_pass_a_budget_together(make: Make, models: Client):
    steps = [asks(f"s{n}", "word " * 20) for n in range(20)]
    result = ended(make(max_parallel=20).compile(pipeline(*steps)).with_options(budget=orc.Budget(tokens=150)))
    assert error_of(result)["code"] == "ORC727"
    assert result.usage.input + result.usage.output <= 150


def test_a_batch_keeps_to_its_budget_also_when_it_goes_on(make: Make, models: Client):
    client = make()
    compiled = client.compile(pipeline(asks("a", "Say {{ n }}."), inputs={"n": {"type": "integer"}}))
    rows = [{"n": n} for n in range(4)]
    with compiled.map(rows, max_parallel=1, budget=orc.Budget(requests=2)) as results:
        found = list(results)
    assert [one.state for one in found] == ["succeeded", "succeeded", "failed", "pending"]
    assert found[0].spending.usage.requests == 1
    for failed in found[2:]:
        assert failed.error is not None
        assert f"the budget of batch {results.batch}" in failed.error["message"]
    assert (found[2].run_id is None, found[3].run_id) == (False, None)  # no more is begun
    with compiled.map(rows, max_parallel=1, batch=results.batch, budget=orc.Budget(requests=3)) as results:
        assert sorted(one.state for one in results) == ["failed", "succeeded", "succeeded", "succeeded"]
    assert len(models.asked) == 3


def test_the_budget_of_a_project_is_for_all_runs_of_its_store(make: Make, models: Client, tmp_path: Path):
    (tmp_path / "orchestrator.toml").write_text("[budget]\nrequests = 3\nperiod = 'day'\n")
    source = pipeline(asks("a"), asks("b"))
    first = make()
    assert first.compile(source).run().state == "succeeded"
    first.close()
    result = ended(make().compile(source))
    assert (error_of(result)["code"], len(models.asked)) == ("ORC727", 3)
    assert "the budget of the project today" in error_of(result)["message"]


def test_a_budget_in_usd_is_refused_where_a_price_is_not_known(make: Make, models: Client):
    models.answers["openai:other"] = [ModelReply("x")]
    compiled = make().compile(pipeline(asks("a", model="openai:other"))).with_options(budget=orc.Budget(usd=1))
    error = error_of(ended(compiled))
    assert (error["code"], models.asked) == ("ORC727", [])
    assert "orchestrator.toml" in error["help"]


@pytest.mark.parametrize("budget", [orc.Budget(usd=-1), orc.Budget(tokens=1.5), orc.Budget(requests=True)])  # type: ignore[arg-type]
def test_a_budget_that_is_none_is_refused(make: Make, budget: orc.Budget):
    with pytest.raises(orc.ConfigurationError, match="of a budget must be"):
        make().compile(pipeline(asks("a"))).with_options(budget=budget)


def test_keys_that_are_used_are_in_nothing_that_is_recorded(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Leaky(Client):
        needs_keys = True

    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")
    models = Leaky({MODEL: [orc.ModelRejected("wrong key sk-very-secret-0123456789 was sent")]})
    with orc.Orchestrator(store=url, directory=tmp_path, models=models) as client:
        result = ended(client.compile(pipeline(asks("a"))))
        assert "very-secret" not in str([event.to_dict() for event in result.log])
        assert "[redacted:OPENAI_API_KEY" in error_of(result)["message"]


def test_the_models_of_an_orchestrator_are_closed_with_it(url: str, tmp_path: Path):
    class Closing(Client):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    models = Closing({MODEL: [replied("x")]})
    with orc.Orchestrator(store=url, directory=tmp_path, models=models) as client:
        client.compile(pipeline(asks("a"))).run()
        assert models.closed == 0
    assert models.closed == 1
