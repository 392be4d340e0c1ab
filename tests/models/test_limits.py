"""Rate limits, in virtual time: what goes out when, for one process and for several."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ConfigurationError, ModelRateLimited, StoreUnavailable
from orchestrator.models.limits import Limits, LimitSettings, Rate, RateUsage, rate_headers
from orchestrator.models.messages import ModelName
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

T = TypeVar("T")

A, B = ModelName("lab", "a"), ModelName("lab", "b")


@dataclass(frozen=True)
class Call:
    """A call that comes `at` a time, is thought to take `tokens`, and takes `real` in `seconds`."""

    at: float
    name: ModelName = A
    tokens: int = 10
    real: int | None = None
    seconds: float = 0.0
    process: int = 0


@dataclass
class Host:
    """Calls of some processes, and when each went out. `places` is how many may be under way at once."""

    waits: list[tuple[str, float | None]] = field(default_factory=list)
    out: list[tuple[float, Call]] = field(default_factory=list)

    @asynccontextmanager
    async def waiting(self, reason: str, until: float | None) -> AsyncIterator[None]:
        self.waits.append((reason, until))
        yield

    async def make(self, limits: Limits, call: Call) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(call.at - loop.time())
        async with limits.turn(call.name, call.tokens, self.waiting) as turn:
            self.out.append((loop.time(), call))
            await asyncio.sleep(call.seconds)
            if call.real is not None:
                turn.used(call.real)

    async def make_all(self, limits: Limits | list[Limits], calls: Iterable[Call]) -> None:
        each = limits if isinstance(limits, list) else [limits]
        await asyncio.gather(*(self.make(each[call.process % len(each)], call) for call in calls))

    def times(self, name: ModelName | None = None) -> list[float]:
        return [at for at, call in self.out if name in (None, call.name)]

    def most_in_a_minute(self, name: ModelName | None = None) -> tuple[int, int]:
        """The most requests and tokens in any 60 seconds."""
        out = [(at, call) for at, call in self.out if name in (None, call.name)]
        minutes = [[call for at, call in out if begin <= at < begin + 60] for begin, _ in out]
        tokens = [sum(call.tokens if call.real is None else call.real for call in minute) for minute in minutes]
        return max(map(len, minutes), default=0), max(tokens, default=0)


class Shared:
    """What a store does, in this process."""

    def __init__(self) -> None:
        self.kept: dict[str, object] = {}
        self.changes: Counter[str] = Counter()
        self.broken = False

    def change(self, provider: str, change: Callable[[RateUsage, float], T]) -> T:
        if self.broken:
            raise StoreUnavailable("the store is gone", url="sqlite://", help="bring it back")
        spending = RateUsage.from_dict(self.kept.get(provider, {}))
        found = change(spending, 1_000_000.0 + asyncio.get_running_loop().time())
        self.kept[provider] = spending.to_dict()
        self.changes[provider] += 1
        return found


def limited(longest_wait: float = 1e9, shared: Shared | None = None, **rates: Rate) -> Limits:
    """Limits of the provider (`lab`) and of its models."""
    by_model = {"" if name == "lab" else name: rate for name, rate in rates.items()}
    return Limits(LimitSettings({"lab": by_model}, longest_wait), shared=shared)


CALLS = st.lists(
    st.builds(
        Call,
        at=st.floats(0, 200).map(lambda at: round(at, 2)),
        name=st.sampled_from([A, B]),
        tokens=st.integers(0, 60),
        seconds=st.floats(0, 90).map(lambda at: round(at, 1)),
        process=st.integers(0, 2),
    ).flatmap(
        lambda call: st.one_of(st.none(), st.integers(0, call.tokens)).map(
            lambda real: Call(call.at, call.name, call.tokens, real, call.seconds, call.process)
        )
    ),
    max_size=40,
)
RATES = st.builds(Rate, st.one_of(st.none(), st.integers(1, 8)), st.one_of(st.none(), st.integers(60, 150)))


def hold(host: Host, rates: dict[str, Rate]) -> None:
    for name, rate in rates.items():
        requests, tokens = host.most_in_a_minute(None if name == "lab" else ModelName("lab", name))
        assert rate.requests is None or requests <= rate.requests
        assert rate.tokens is None or tokens <= rate.tokens


@given(CALLS, st.dictionaries(st.sampled_from(["lab", "a", "b"]), RATES))
@settings(max_examples=150)
def test_no_minute_has_more_than_the_limits_and_everybody_gets_a_turn(calls: list[Call], rates: dict[str, Rate]):
    async def main() -> Host:
        host = Host()
        await host.make_all(limited(**rates), calls)
        return host

    host = run(main())
    hold(host, rates)
    assert len(host.out) == len(calls)


@given(CALLS, st.dictionaries(st.sampled_from(["lab", "a", "b"]), RATES, min_size=1))
@settings(max_examples=100)
def test_processes_that_share_limits_keep_them_together_and_everybody_gets_a_turn(
    calls: list[Call], rates: dict[str, Rate]
):
    async def main() -> Host:
        host, shared = Host(), Shared()
        processes = [limited(shared=shared, **rates) for _ in range(3)]
        await host.make_all(processes, calls)
        for each in processes:
            await each.aclose()
        return host

    host = run(main())
    hold(host, rates)
    assert len(host.out) == len(calls)


def test_a_limit_is_used_up_in_every_minute_while_calls_wait():
    async def main() -> Host:
        host = Host()
        await host.make_all(limited(a=Rate(requests=10)), [Call(0.0)] * 25)
        return host

    # What goes out in a second counts until a minute after the end of that second.
    assert Counter(run(main()).times()) == {0.0: 10, 61.0: 10, 122.0: 5}


def test_processes_together_use_up_a_limit_too():
    async def main() -> Host:
        host, shared = Host(), Shared()
        calls = [Call(0.1 * number, process=number) for number in range(60)]
        await host.make_all([limited(shared=shared, lab=Rate(requests=20)) for _ in range(3)], calls)
        return host

    host = run(main())
    assert host.most_in_a_minute() == (20, 200)
    assert max(host.times()) <= 2 * 62 + 2


def test_who_comes_first_goes_first_and_a_large_call_is_not_overtaken_for_ever():
    async def main() -> Host:
        host = Host()
        small = [Call(0.5 * number, B, 10) for number in range(400)]
        await host.make_all(limited(lab=Rate(tokens=100)), [Call(10.1, A, 100), *small])
        return host

    host = run(main())
    assert [call.at for _, call in host.out] == sorted(call.at for _, call in host.out)


def test_one_model_that_is_held_back_does_not_hold_back_another():
    async def main() -> Host:
        host = Host()
        await host.make_all(limited(lab=Rate(requests=100), a=Rate(requests=1)), [Call(0)] * 3 + [Call(0, B)] * 50)
        return host

    host = run(main())
    assert set(host.times(B)) == {0.0}
    assert host.times(A) == [0.0, 61.0, 122.0]


def test_tokens_that_a_call_did_not_take_are_left_to_others_and_those_beyond_are_counted():
    async def main() -> Host:
        host = Host()
        calls = [
            Call(0, tokens=100, real=20, seconds=1),
            Call(0, tokens=80, real=190, seconds=1),
            Call(3, tokens=1),
        ]
        await host.make_all(limited(a=Rate(tokens=100)), calls)
        return host

    # The second waits for the end of the first only; the third for a minute after that of the second.
    assert run(main()).times() == [0.0, 1.0, 63.0]


def test_a_call_that_is_thought_to_be_larger_than_the_limit_goes_out_when_all_of_it_is_free():
    async def main() -> Host:
        host = Host()
        await host.make_all(limited(a=Rate(tokens=100)), [Call(0, tokens=40), Call(0, tokens=5000), Call(70, tokens=1)])
        return host

    assert run(main()).times() == [0.0, 61.0, 122.0]


def test_without_limits_nobody_waits():
    async def main() -> Host:
        host = Host()
        await host.make_all(Limits(), [Call(0, tokens=10**6)] * 200)
        return host

    host = run(main())
    assert set(host.times()) == {0.0}
    assert host.waits == []


def test_a_step_shows_as_waiting_only_while_it_does_and_says_for_what():
    async def main() -> Host:
        host = Host()
        await host.make_all(limited(lab=Rate(requests=1)), [Call(0), Call(1)])
        return host

    host = run(main())
    assert [reason for reason, _ in host.waits] == ["`lab`: 1 requests per minute"]


def test_a_wait_that_is_too_long_is_an_error_at_once_with_the_time():
    async def main() -> ModelRateLimited:
        host, limits = Host(), limited(600, a=Rate(requests=2))
        tasks = [asyncio.create_task(host.make(limits, Call(0))) for _ in range(30)]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        errors = [each for each in done if each is not None]
        # Within ten minutes there are ten turns of two.
        assert len(errors) == 10
        assert {type(each) for each in errors} == {ModelRateLimited}
        assert max(host.times()) <= 600
        error = errors[0]
        assert isinstance(error, ModelRateLimited)
        return error

    error = run(main())
    assert error.code == "ORC722"
    assert not error.retryable
    assert error.retry_after is not None
    assert error.retry_after > 600
    assert "2 requests per minute" in error.message
    assert "longest_wait" in str(error.help)


@pytest.mark.parametrize("shared", [False, True])
def test_leaving_while_waiting_and_just_as_the_turn_comes_leaks_nothing(shared: bool):
    async def main() -> Host:
        loop = asyncio.get_running_loop()
        host, limits = Host(), limited(shared=Shared() if shared else None, a=Rate(requests=4, tokens=40))
        await host.make_all(limits, [Call(0)] * 4)
        tasks = [asyncio.create_task(host.make(limits, Call(1))) for _ in range(8)]
        await asyncio.sleep(5)
        for task in tasks[::2]:
            task.cancel()
        # A turn comes and is cancelled before the task could take note of it.
        await asyncio.sleep(50)
        last = tasks[1]
        loop.call_at(61.0 if not shared else 62.0, last.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        begun = loop.time()
        await host.make_all(limits, [Call(begun)] * 12)
        await limits.aclose()
        return host

    host = run(main())
    assert len(host.out) in (4 + 3 + 12, 4 + 4 + 12)
    assert host.most_in_a_minute() == (4, 40)
    assert max(host.times()) <= 62 * 4 + 4


def test_a_place_that_comes_late_does_not_make_the_minute_too_full():
    class Slow(Host):
        @asynccontextmanager
        async def waiting(self, reason: str, until: float | None) -> AsyncIterator[None]:
            yield
            await asyncio.sleep(45.5)  # for a place in the process

    async def main() -> Host:
        host = Slow()
        await host.make_all(limited(a=Rate(requests=2)), [Call(0)] * 2 + [Call(20)] * 2 + [Call(100)] * 2)
        return host

    host = run(main())
    assert len(host.out) == 6
    assert host.most_in_a_minute()[0] == 2


# --- what a provider lets know


def test_after_a_refusal_nothing_goes_out_before_the_time_that_the_provider_names_and_then_slowly():
    async def main() -> Host:
        host, limits = Host(), Limits()
        await host.make_all(limits, [Call(0)] * 60)
        for _ in range(20):  # of those that were under way together, which slow it down once
            limits.refused(A, 7.0, {})
        await host.make_all(limits, [Call(0)] * 1000)
        return host

    times = run(main()).times()[60:]
    assert times[0] >= 7
    # It was 60 in a second; it begins with half of that, and rises by that in every minute.
    first_second = sum(1 for at in times if at < times[0] + 1)
    assert 28 <= first_second <= 32
    assert max(times) < 7 + 1000 / 30


def test_each_further_refusal_halves_the_pace_and_it_is_forgotten_when_there_were_none_for_long():
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        host, limits, gaps = Host(), Limits(), []
        for _ in range(3):
            await host.make_all(limits, [Call(loop.time())] * 2)
            limits.refused(A, None, {})
        began = loop.time()
        await host.make_all(limits, [Call(began)])
        gaps.append(loop.time() - began)
        await asyncio.sleep(400)
        began = loop.time()
        await host.make_all(limits, [Call(began)] * 500)
        gaps.append(loop.time() - began)
        return gaps

    slow, later = run(main())
    assert slow > 3
    assert later == 0


def test_a_refusal_of_one_model_leaves_others_alone():
    async def main() -> Host:
        host, limits = Host(), Limits()
        limits.refused(A, 30.0, {})
        await host.make_all(limits, [Call(0), Call(0, B)])
        return host

    host = run(main())
    assert (host.times(A), host.times(B)) == ([30.0], [0.0])


def test_processes_that_share_a_limit_hear_of_a_refusal():
    async def main() -> Host:
        host, shared = Host(), Shared()
        one, other = (limited(shared=shared, lab=Rate(requests=100)) for _ in range(2))
        await host.make(one, Call(0))
        one.refused(A, 40.0, {})
        await asyncio.sleep(1)
        await host.make(other, Call(1))
        return host

    assert run(main()).times()[1] >= 40


@pytest.mark.parametrize(
    ("headers", "ready"),
    [
        # Full again in 60 s, so one request comes free in each second.
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1m0s",
            },
            1.0,
        ),
        # 500 tokens in 10 s; 10 are needed and 5 there.
        (
            {
                "x-ratelimit-limit-tokens": "505",
                "x-ratelimit-remaining-tokens": "5",
                "x-ratelimit-reset-tokens": "10000ms",
            },
            0.1,
        ),
        ({"X-RateLimit-Remaining-Requests": "0", "X-RateLimit-Reset-Requests": "12"}, 12.0),
        ({"x-ratelimit-remaining-requests": "0"}, 60.0),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "12"}, 0.0),
        ({"x-ratelimit-remaining-requests": "soon", "x-ratelimit-reset-tokens": "never"}, 0.0),
    ],
)
def test_what_is_left_is_read_from_the_headers_of_an_answer(headers: dict[str, str], ready: float):
    async def main() -> Host:
        host, limits = Host(), Limits()
        limits.told(A, rate_headers({**headers, "content-type": "text/plain"}))
        await host.make(limits, Call(0))
        return host

    assert run(main()).times() == [pytest.approx(ready)]


def test_dates_of_anthropic_are_read_too():
    async def main() -> Host:
        host, limits = Host(), Limits()
        full = (datetime.now(UTC) + timedelta(seconds=30)).isoformat().replace("+00:00", "Z")
        told = {
            "anthropic-ratelimit-requests-limit": "30",
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": full,
        }
        limits.told(A, told)
        await host.make(limits, Call(0))
        return host

    assert run(main()).times() == [pytest.approx(1.0, abs=0.2)]


# --- processes


def test_a_process_that_asks_often_does_not_go_to_the_store_for_every_call():
    async def main() -> tuple[int, int]:
        host, shared = Host(), Shared()
        limits = limited(shared=shared, lab=Rate(requests=10_000, tokens=10_000_000))
        for number in range(2000):  # one after the other
            await host.make(limits, Call(0.02 * number, tokens=500, real=400))
        await limits.aclose()
        return len(host.out), shared.changes["lab"]

    made, changes = run(main())
    assert made == 2000
    assert changes < 2000 / 8


def test_what_a_process_took_ahead_and_did_not_spend_is_given_back():
    async def main() -> Host:
        host, shared = Host(), Shared()
        one, other = (limited(shared=shared, lab=Rate(requests=100)) for _ in range(2))
        for number in range(20):
            await host.make(one, Call(0.1 * number))
        await asyncio.sleep(4)
        await host.make_all(other, [Call(6)] * 80)
        return host

    host = run(main())
    assert max(host.times()) < 10


def test_a_process_that_vanishes_while_it_waits_and_holds_something_does_not_block_the_others():
    async def main() -> Host:
        host, shared, cut_off = Host(), Shared(), Shared()
        cut_off.kept = shared.kept
        gone, other = (limited(shared=each, lab=Rate(requests=40, tokens=400)) for each in (cut_off, shared))
        await host.make_all(gone, [Call(0)] * 39)
        lost = asyncio.create_task(host.make(gone, Call(0, tokens=400)))
        await asyncio.sleep(1)
        cut_off.broken = True  # nobody hears of it any more
        await host.make_all(other, [Call(2)] * 40)
        with pytest.raises(StoreUnavailable):
            await lost
        return host

    host = run(main())
    assert len(host.out) == 79
    assert max(host.times()) <= 63


def test_a_store_that_cannot_be_reached_fails_those_who_ask_and_not_those_who_come_later():
    async def main() -> Host:
        host, shared = Host(), Shared()
        limits = limited(shared=shared, lab=Rate(requests=10))
        shared.broken = True
        with pytest.raises(StoreUnavailable):
            await host.make(limits, Call(0))
        shared.broken = False
        await host.make(limits, Call(1))
        return host

    assert run(main()).times() == [1.0]


# --- settings


def test_settings_name_providers_and_models_in_any_spelling(tmp_path: Path):
    (tmp_path / "orchestrator.toml").write_text(
        '[servers.lab]\nbase_url = "http://lab:8000/v1"\n'
        '[limits]\nlongest_wait = "2m"\n'
        "[limits.OpenAI]\nrequests_per_minute = 500\ntokens_per_minute = 200_000\n"
        '[limits."openai/gpt-5-mini"]\nrequests_per_minute = 3\n'
        '[limits."lab:qwen"]\ntokens_per_minute = 9\n'
    )
    found = LimitSettings.load(tmp_path)
    assert found.longest_wait == 120
    assert found.rates == {
        "openai": {"": Rate(500, 200_000), "gpt-5-mini": Rate(3, None)},
        "lab": {"qwen": Rate(None, 9)},
    }
    assert LimitSettings.load(tmp_path / "..") == LimitSettings()


@pytest.mark.parametrize(
    ("text", "said", "help"),
    [
        ("[limits.opneai]\n", "limits.opneai", "openai"),
        ("[limits.openai]\nrequests_per_minutes = 1\n", "`limits.openai.requests_per_minutes`", "requests_per_minute"),
        ("[limits.openai]\nrequests_per_minute = 0\n", "an integer of at least 1", "500"),
        ("[limits]\nlongest_wait = 'soon'\n", "`limits.longest_wait` is not a duration", "10m"),
        ("[limits]\nlongestwait = 1\n", "unknown setting `limits.longestwait`", "longest_wait"),
    ],
)
def test_wrong_settings_are_refused_with_what_is_right(tmp_path: Path, text: str, said: str, help: str):
    (tmp_path / "orchestrator.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        LimitSettings.load(tmp_path)
    assert said in caught.value.message
    assert help in str(caught.value.help)
