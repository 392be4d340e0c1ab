"""Which failures are tried again, and after how long."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import PermissionDenied, StepError, StepTimeout
from orchestrator.plan.policies import RetryPolicy
from orchestrator.runtime.run.failures import as_step_error, error_data
from orchestrator.runtime.run.retry import excessive_wait, is_retried, retry_delay


def caused_by(cause: Exception) -> StepError:
    error = StepError(f"it raised {cause!r}")
    error.__cause__ = cause
    return error


def test_attempts_are_counted() -> None:
    assert is_retried(StepError("x"), RetryPolicy(max_attempts=3), 2)
    assert not is_retried(StepError("x"), RetryPolicy(max_attempts=3), 3)


def test_a_failure_that_cannot_be_mended_by_trying_is_not_tried_again() -> None:
    assert not is_retried(PermissionDenied("x"), RetryPolicy(max_attempts=3), 1)
    assert not is_retried(StepError("x", retryable=False), RetryPolicy(max_attempts=3), 1)


@pytest.mark.parametrize(
    ("on", "error", "retried"),
    [
        (("ORC702",), StepTimeout("x", seconds=1), True),
        (("StepTimeout",), StepTimeout("x", seconds=1), True),
        (("StepTimeout",), StepError("x"), False),
        (("ConnectionError",), caused_by(ConnectionResetError()), True),
        (("OSError", "ORC706"), StepError("x", code="ORC706"), True),
        (("ValueError",), caused_by(KeyError("k")), False),
    ],
)
def test_on_limits_the_retry_to_codes_and_types(on: tuple[str, ...], error: StepError, retried: bool) -> None:
    assert is_retried(error, RetryPolicy(max_attempts=2, on=on), 1) is retried


@given(st.integers(1, 10_000), st.floats(0, 1000), st.floats(1, 10), st.floats(0, 1), st.integers())
def test_the_delay_grows_up_to_its_limit(attempt: int, delay: float, backoff: float, jitter: float, seed: int) -> None:
    retry = RetryPolicy(delay=delay, backoff=backoff, max_delay=60, jitter=jitter)
    seconds = retry_delay(StepError("x"), retry, attempt, random.Random(seed))
    assert 0 <= seconds <= 60
    assert seconds == retry_delay(StepError("x"), retry, attempt, random.Random(seed))


def test_backoff_doubles_the_delay() -> None:
    retry = RetryPolicy(delay=1, backoff=2, max_delay=5, jitter=0)
    assert [retry_delay(StepError("x"), retry, n, random.Random(0)) for n in (1, 2, 3, 4)] == [1, 2, 4, 5]


def test_the_wait_that_a_server_asks_for_is_the_least() -> None:
    retry = RetryPolicy(delay=1, max_delay=5, jitter=0)
    assert retry_delay(StepError("x", retry_after=30), retry, 1, random.Random(0)) == 30


def test_an_error_is_recorded_with_the_type_of_its_cause() -> None:
    error = error_data(caused_by(ZeroDivisionError("division by zero")), attempt=2, step="a")
    assert (error["code"], error["type"], error["step"], error["attempt"]) == ("ORC701", "ZeroDivisionError", "a", 2)
    assert error_data(as_step_error(ValueError()))["message"] == "ValueError"


@pytest.mark.parametrize(
    ("asked", "max_delay", "retried"),
    [
        (5, 5, True),
        (6, 5, False),
        (600, None, True),
        (601, None, False),
        (float("inf"), None, False),
        (float("nan"), 5, True),
        (-1, 5, True),
        ("soon", 5, True),
        (10**400, 5, False),
    ],
)
def test_a_wait_that_is_longer_than_the_policy_allows_is_not_begun(
    asked: Any, max_delay: float | None, retried: bool
) -> None:
    retry = RetryPolicy(max_attempts=2, jitter=0, longest_wait=max_delay)
    error = StepError("x", retry_after=asked)
    assert is_retried(error, retry, 1) is retried
    assert (excessive_wait(error, retry, 1) is None) is retried
    if retried:
        assert 0 <= retry_delay(error, retry, 1, random.Random(0)) <= 600


def test_an_error_of_megabytes_is_cut_and_says_so() -> None:
    data = error_data(StepError("x" * 5_000_000 + "the end", help="y" * 5_000_000))
    assert len(data["message"]) < 11_000
    assert "4,990,007 characters left out" in data["message"]
    assert data["message"].endswith("the end")
    assert len(data["help"]) < 11_000
