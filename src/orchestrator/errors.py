"""The exceptions of Orchestrator.

    OrchestratorError                 .code .message .help .remedies
    ├── CompilationError              .diagnostics
    ├── InputError                    .problems
    ├── ConfigurationError
    │   └── MissingExtra              .extra
    ├── StepError                     what a tool raises; .retryable
    │   ├── PermissionDenied
    │   ├── StepTimeout               .seconds
    │   ├── EvaluationError           .expression
    │   ├── AgentUnfinished           .turns
    │   ├── CheckFailed               .reasons
    │   ├── McpError                  .server
    │   ├── RecordingMissing          .nearest .difference
    │   └── ModelError                .provider .model .status .reply
    │       ├── ModelRateLimited      .retry_after
    │       ├── ModelUnavailable
    │       ├── ModelRefused
    │       ├── ModelRejected
    │       ├── ModelAnswerInvalid
    │       ├── ModelMissing
    │       └── BudgetExceeded        .scope
    ├── RunError                      .run_id
    │   ├── RunNotFound
    │   ├── RunFailed                 .result .step .attempt
    │   ├── RunCancelled              .result
    │   ├── RunPaused
    │   ├── RunOwned                  .owner
    │   └── RunNotResumable
    ├── RequestError                  .status
    │   └── ServerUnavailable         .url
    └── StoreError                    .url
        ├── StoreUnavailable
        └── LeaseLost

Cancellation is not in this tree: it is `asyncio.CancelledError`, which `except Exception` does not catch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.remedies import InstallExtra, advice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.diagnostics import Diagnostic
    from orchestrator.remedies import Remedy


class OrchestratorError(Exception):
    """The base class: `except OrchestratorError` catches every exception of Orchestrator.

    `code` is stable (`orchestrator explain CODE`), `message` describes what happened and where, `help` how to fix it.
    `remedies` are the possible next actions, as data; `str(error)` writes them as Python calls.
    """

    default_code = codes.INTERNAL_ERROR

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.help = help
        self.remedies = tuple(remedies)

    @property
    def advice(self) -> str:
        """The help and the remedies, as Python calls, in one text; empty if there are none."""
        return advice(self.help, self.remedies)

    def __str__(self) -> str:
        text = self.advice
        return f"{self.message} [{self.code}]" + (f"\n  help: {text}" if text else "")

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON data: `code`, `type`, `message`, `help`, and `remedies` if it has any."""
        data = {"code": self.code, "type": type(self).__name__, "message": self.message, "help": self.help}
        return {**data, "remedies": [remedy.to_dict() for remedy in self.remedies]} if self.remedies else data


def _restored(kind: type[OrchestratorError], args: tuple[Any, ...], state: Mapping[str, Any]) -> OrchestratorError:
    """Restore a pickled error without calling its constructor."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class CompilationError(OrchestratorError):
    """A pipeline has errors; `diagnostics` holds every problem, in the order of the file."""

    def __init__(self, message: str, *, diagnostics: Sequence[Diagnostic] = (), help: str | None = None) -> None:
        super().__init__(message, help=help)
        self.diagnostics = tuple(diagnostics)
        errors = [diagnostic for diagnostic in self.diagnostics if diagnostic.severity == "error"]
        if errors:
            self.code = errors[0].code

    def __str__(self) -> str:
        if not self.diagnostics:
            return super().__str__()
        from orchestrator.diagnostics import render_text

        return f"{self.message}\n\n{render_text(self.diagnostics)}"


class InputError(OrchestratorError):
    """The inputs of a run do not match the declared inputs of its pipeline; `problems` has one line each."""

    default_code = codes.INVALID_INPUT

    def __init__(
        self,
        message: str,
        *,
        problems: Sequence[str] = (),
        code: str | None = None,
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
    ):
        super().__init__(message, code=code, help=help, remedies=remedies)
        self.problems = tuple(problems)


class ConfigurationError(OrchestratorError):
    """`orchestrator.toml`, an option or a tool definition is invalid."""

    default_code = codes.INVALID_CONFIGURATION


class MissingExtra(ConfigurationError):
    """An optional part, `extra`, is not installed."""

    default_code = codes.EXTRA_MISSING

    def __init__(self, message: str, *, extra: str) -> None:
        super().__init__(message, remedies=[InstallExtra(extra)])
        self.extra = extra


class StepError(OrchestratorError):
    """One attempt of a step failed. Tools raise it with a specific code and help.

    `retryable=False` means that another attempt with the same parameters cannot succeed, so none is made.
    `retry_after` is the minimum number of seconds to wait before the next attempt. If it is more than `longest_wait`
    and the retry policy of the step has no `max_delay`, no further attempt is made. `raised` are the class names of
    the exception in another process that this error represents, from its own class to the most general.
    """

    default_code = codes.TOOL_FAILED
    longest_wait = 600.0

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
        retryable: bool = True,
        retry_after: float | None = None,
        raised: Sequence[str] = (),
    ) -> None:
        super().__init__(message, code=code, help=help, remedies=remedies)
        self.retryable = retryable
        self.retry_after = retry_after
        self.raised = tuple(raised)


class PermissionDenied(StepError):
    """A tool lacks a permission; `remedies` would grant it."""

    default_code = codes.PERMISSION_DENIED

    def __init__(self, message: str, *, help: str | None = None, remedies: Sequence[Remedy] = ()) -> None:
        super().__init__(message, help=help, remedies=remedies, retryable=False)


class StepTimeout(StepError):
    """An attempt ran longer than its `timeout`, `seconds`, and was stopped."""

    default_code = codes.TIMEOUT

    def __init__(self, message: str, *, seconds: float, help: str | None = None) -> None:
        super().__init__(message, help=help)
        self.seconds = seconds


class EvaluationError(StepError):
    """An expression could not be evaluated; `start` and `end` locate the part that failed."""

    default_code = codes.EVALUATION_FAILED

    def __init__(
        self,
        message: str,
        *,
        expression: str = "",
        start: int = 0,
        end: int = 0,
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        super().__init__(message, help=help, remedies=remedies, retryable=False)
        self.expression = expression
        self.start = start
        self.end = end


class RecordingMissing(StepError):
    """Recordings are replayed, and none matches the request. No model is called instead.

    `nearest` is the file of the most similar recording, if there is one, and `difference` lists what differs.
    """

    default_code = codes.RECORDING_MISSING

    def __init__(
        self,
        message: str,
        *,
        nearest: str = "",
        difference: Sequence[str] = (),
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        super().__init__(message, help=help, remedies=remedies, retryable=False)
        self.nearest = nearest
        self.difference = tuple(difference)


class AgentUnfinished(StepError):
    """An agent used all of its `turns` without an acceptable answer. The run can be resumed with more `max_turns`."""

    default_code = codes.AGENT_UNFINISHED

    def __init__(self, message: str, *, turns: int, help: str | None = None, remedies: Sequence[Remedy] = ()) -> None:
        super().__init__(message, help=help, remedies=remedies, retryable=False)
        self.turns = turns


class McpError(StepError):
    """The MCP server `server` cannot be started or reached, or reported an error."""

    default_code = codes.MCP_SERVER_FAILED

    def __init__(self, message: str, *, server: str, help: str | None = None, retryable: bool = True) -> None:
        super().__init__(message, help=help, retryable=retryable)
        self.server = server


class CheckFailed(StepError):
    """The output of a step does not pass its `check`, after every attempt and every model; see `reasons`."""

    default_code = codes.CHECK_FAILED

    def __init__(
        self, message: str, *, reasons: Sequence[str] = (), help: str | None = None, remedies: Sequence[Remedy] = ()
    ) -> None:
        super().__init__(message, help=help, remedies=remedies)
        self.reasons = tuple(reasons)


class ModelError(StepError):
    """A model call failed. `provider` and `model` name the model, `status` is the HTTP status if there was a response.

    `retryable` tells whether the same call may succeed later. `reply` is an answer that cannot be used: an
    `orchestrator.models.messages.ModelReply`, whose usage is paid like any other. `limits` are the rate limit headers
    of the HTTP response, by their names in lower case.
    """

    default_code = codes.MODEL_FAILED
    default_retryable = True

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        code: str | None = None,
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
        retryable: bool | None = None,
        retry_after: float | None = None,
        reply: Any = None,
    ) -> None:
        again = self.default_retryable if retryable is None else retryable
        super().__init__(message, code=code, help=help, remedies=remedies, retryable=again, retry_after=retry_after)
        self.provider = provider
        self.model = model
        self.status = status
        self.reply = reply
        self.limits: Mapping[str, str] = {}


class ModelRateLimited(ModelError):
    """The provider rejects requests because of a rate limit; `retry_after` is the wait that it asks for, in seconds."""

    default_code = codes.MODEL_RATE_LIMITED


class ModelUnavailable(ModelError):
    """The provider cannot be reached, closes the connection, takes too long, or reports that it is unavailable."""

    default_code = codes.MODEL_UNAVAILABLE


class ModelRefused(ModelError):
    """The model declined to answer, or a filter blocked the answer. Another model may answer; this one will not."""

    default_code = codes.MODEL_REFUSED
    default_retryable = False


class ModelRejected(ModelError):
    """The provider rejects the request: an invalid key, an unknown model, a text that is too long, a bad setting."""

    default_code = codes.MODEL_REQUEST_REJECTED
    default_retryable = False


class ModelAnswerInvalid(ModelError):
    """The answer does not have the required form: it is not JSON, does not match its schema, or was cut off."""

    default_code = codes.INVALID_MODEL_ANSWER


class ModelMissing(ModelError):
    """The model cannot be called: a missing key, an unknown provider or model. Nothing was sent."""

    default_code = codes.MODEL_NOT_FOUND
    default_retryable = False


class BudgetExceeded(ModelError):
    """The next model call could cost more than the remaining budget. The run can be resumed with a larger budget.

    `scope` is the owner of the budget, in words: ``the run``, ``step `draft` ``. `needs` is the budget that the call
    requires, by `usd`, `tokens` and `requests`, if it is known.
    """

    default_code = codes.BUDGET_EXCEEDED
    default_retryable = False
    scope = ""
    needs: Mapping[str, float] | None = None


class RunError(OrchestratorError):
    """An error about one run; `run_id` is its id."""

    default_code = codes.RUN_NOT_RESUMABLE

    def __init__(
        self,
        message: str,
        *,
        run_id: str | None = None,
        code: str | None = None,
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        super().__init__(message, code=code, help=help, remedies=remedies)
        self.run_id = run_id


class RunNotFound(RunError):
    """No run has this id (or more than one starts with this prefix)."""

    default_code = codes.RUN_NOT_FOUND


class RunFailed(RunError):
    """A run failed. `result` holds what it achieved; `step` and `attempt` name the failure."""

    default_code = codes.RUN_FAILED

    def __init__(
        self,
        message: str,
        *,
        run_id: str | None = None,
        result: Any = None,
        step: str | None = None,
        attempt: int | None = None,
        code: str | None = None,
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        super().__init__(message, run_id=run_id, code=code, help=help, remedies=remedies)
        self.result = result
        self.step = step
        self.attempt = attempt


class RunCancelled(RunError):
    """A run was cancelled. `result` holds what it achieved before."""

    default_code = codes.RUN_CANCELLED

    def __init__(
        self,
        message: str,
        *,
        run_id: str | None = None,
        result: Any = None,
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        super().__init__(message, run_id=run_id, help=help, remedies=remedies)
        self.result = result


class RunPaused(RunError):
    """A run is paused and has no result yet."""

    default_code = codes.RUN_PAUSED


class RunOwned(RunError):
    """Another live process owns the run; `owner` names it (host, process id)."""

    default_code = codes.RUN_OWNED

    def __init__(
        self,
        message: str,
        *,
        run_id: str | None = None,
        owner: str = "",
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        super().__init__(message, run_id=run_id, help=help, remedies=remedies)
        self.owner = owner


class RunNotResumable(RunError):
    """The run cannot be resumed, because of how it ended or because it has changed."""

    default_code = codes.RUN_NOT_RESUMABLE


class RequestError(OrchestratorError):
    """A server refuses a request; `status` is the HTTP status of its response."""

    default_code = codes.INVALID_REQUEST

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        super().__init__(message, code=code, help=help, remedies=remedies)
        self.status = status


class ServerUnavailable(RequestError):
    """A server, `url`, cannot be reached, or has not answered; `status` is that of the response of a proxy, if any."""

    default_code = codes.SERVER_UNREACHABLE

    def __init__(self, message: str, *, url: str = "", status: int = 503, help: str | None = None) -> None:
        super().__init__(message, status=status, help=help)
        self.url = url


class StoreError(OrchestratorError):
    """The store (the database of runs) cannot do what was asked; `url` names it, without a password."""

    default_code = codes.STORE_UNAVAILABLE

    def __init__(
        self,
        message: str,
        *,
        url: str = "",
        code: str | None = None,
        help: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        super().__init__(message, code=code, help=help, remedies=remedies)
        self.url = url


class StoreUnavailable(StoreError):
    """The store cannot be opened, is locked by another program, is not ours, or its disk is full.

    `passing` says whether that is likely to pass by itself: a lock, or a connection that was lost. `removed`: its file
    was removed or replaced while it was in use, and with it all that was recorded. `damaged`: only one record cannot be
    read; other runs can.
    """

    passing = False
    removed = False
    damaged = False


class LeaseLost(StoreError):
    """Another process took the run over while this one was away; nothing that this one wrote since is recorded."""

    default_code = codes.LEASE_LOST
