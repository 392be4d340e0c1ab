"""Every exception that Orchestrator raises on purpose.

    OrchestratorError                 .code .message .help .remedies
    ├── CompilationError              .diagnostics
    ├── InputError                    .problems
    ├── ConfigurationError
    │   └── MissingExtra              .extra
    ├── StepError                     what a tool raises; .retryable
    │   ├── PermissionDenied          .flag
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
    """The root: `except OrchestratorError` catches everything that is ours.

    `code` is stable (`orchestrator explain CODE`), `message` says what happened and where, `help` how to fix it.
    `remedies` are what can be done next, as data; `str(error)` writes them as calls in Python.
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
        """The help and the remedies, as calls in Python, in one text; empty if there are none."""
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
    """Build an error that was pickled, whatever its class needs to be made."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class CompilationError(OrchestratorError):
    """A pipeline is wrong; `diagnostics` holds every problem that was found, in the file's order."""

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
    """The inputs given to a run do not fit the pipeline's declared inputs; `problems` has one line for each."""

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
    """`orchestrator.toml`, an option or a tool definition is wrong."""

    default_code = codes.INVALID_CONFIGURATION


class MissingExtra(ConfigurationError):
    """An optional part, `extra`, is not installed."""

    default_code = codes.EXTRA_MISSING

    def __init__(self, message: str, *, extra: str) -> None:
        super().__init__(message, remedies=[InstallExtra(extra)])
        self.extra = extra


class StepError(OrchestratorError):
    """One attempt of a step failed. Tools raise it to give a code and a help line of their own.

    `retryable=False` says that another attempt with the same parameters cannot succeed, so none is made.
    `retry_after` is the least number of seconds to wait before the next attempt. Where the step's policy states no
    `max_delay`, no further attempt is made if that is more than `longest_wait`. `raised` are the names of the
    classes of an exception in another process that it stands for, from its own to the most general.
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
    """A tool was refused something that is not allowed; `flag` is the option that would allow it."""

    default_code = codes.PERMISSION_DENIED

    def __init__(self, message: str, *, flag: str, help: str | None = None) -> None:
        super().__init__(message, help=help or f"allow it with {flag}", retryable=False)
        self.flag = flag


class StepTimeout(StepError):
    """An attempt ran longer than its `timeout`, `seconds`, and was stopped."""

    default_code = codes.TIMEOUT

    def __init__(self, message: str, *, seconds: float, help: str | None = None) -> None:
        super().__init__(message, help=help)
        self.seconds = seconds


class EvaluationError(StepError):
    """An expression could not be evaluated; `expression` is its text and `start`, `end` the offsets of the culprit."""

    default_code = codes.EVALUATION_FAILED

    def __init__(
        self, message: str, *, expression: str = "", start: int = 0, end: int = 0, help: str | None = None
    ) -> None:
        super().__init__(message, help=help, retryable=False)
        self.expression = expression
        self.start = start
        self.end = end


class RecordingMissing(StepError):
    """Recordings are played, and none answers the request. No other model is asked in its place.

    `nearest` is the file of the recording that is most like it, if there is one, `difference` what differs, in lines.
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
    """An agent made all of its `max_turns`, `turns`, and has no answer that passes. The run is resumable with more."""

    default_code = codes.AGENT_UNFINISHED

    def __init__(self, message: str, *, turns: int, help: str | None = None, remedies: Sequence[Remedy] = ()) -> None:
        super().__init__(message, help=help, remedies=remedies, retryable=False)
        self.turns = turns


class McpError(StepError):
    """A server of tools, `server`, cannot be started or reached, or did not do what it was asked."""

    default_code = codes.MCP_SERVER_FAILED

    def __init__(self, message: str, *, server: str, help: str | None = None, retryable: bool = True) -> None:
        super().__init__(message, help=help, retryable=retryable)
        self.server = server


class CheckFailed(StepError):
    """The output of a step is not what its `check` asks for, and no model has given a better one; see `reasons`."""

    default_code = codes.CHECK_FAILED

    def __init__(
        self, message: str, *, reasons: Sequence[str] = (), help: str | None = None, remedies: Sequence[Remedy] = ()
    ) -> None:
        super().__init__(message, help=help, remedies=remedies)
        self.reasons = tuple(reasons)


class ModelError(StepError):
    """A call of a model failed. `provider` and `model` name it, `status` is the status of the HTTP answer if one came.

    `retryable` says whether the same call may succeed later. `reply` is what the model did answer, if it did and that
    cannot be used: an `orchestrator.models.messages.ModelReply`, whose usage is to be paid like any other. `limits` are
    the headers of the HTTP answer that tell of rate limits, by their names in small letters.
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
    """The provider allows no more requests or tokens in this time; `retry_after` is how long it asks to wait."""

    default_code = codes.MODEL_RATE_LIMITED


class ModelUnavailable(ModelError):
    """The provider cannot be reached, breaks the connection, takes too long, or says that it cannot answer now."""

    default_code = codes.MODEL_UNAVAILABLE


class ModelRefused(ModelError):
    """The model declined, or a filter held its answer back. Another model may answer; this one will not."""

    default_code = codes.MODEL_REFUSED
    default_retryable = False


class ModelRejected(ModelError):
    """The provider will not answer a request like this: a wrong key, no such model, too long a text, a bad setting."""

    default_code = codes.MODEL_REQUEST_REJECTED
    default_retryable = False


class ModelAnswerInvalid(ModelError):
    """The answer is not in the form that was asked for: no JSON, against its schema, or cut off."""

    default_code = codes.INVALID_MODEL_ANSWER


class ModelMissing(ModelError):
    """The model cannot be asked at all: no key, no such provider or model. Nothing was sent."""

    default_code = codes.MODEL_NOT_FOUND
    default_retryable = False


class BudgetExceeded(ModelError):
    """The next call of a model could cost more than the budget has left. The run is resumable with a larger one.

    `scope` is whose budget that is, in words: ``the run``, ``step `draft` ``. `needs` is how large it must be for that
    call, by `usd`, `tokens` and `requests`, where that is known.
    """

    default_code = codes.BUDGET_EXCEEDED
    default_retryable = False
    scope = ""
    needs: Mapping[str, float] | None = None


class RunError(OrchestratorError):
    """Something about one run; `run_id` names it."""

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
    """A run ended as failed. `result` holds everything that it did achieve; `step` and `attempt` name the failure."""

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
    """A run is paused, so there is no result yet."""

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
    """The run has ended in a way, or has changed so, that it cannot go on."""

    default_code = codes.RUN_NOT_RESUMABLE


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
    was removed or replaced while it was in use, and with it all that was recorded.
    """

    passing = False
    removed = False


class LeaseLost(StoreError):
    """Another process took the run over while this one was away; nothing that this one wrote since is recorded."""

    default_code = codes.LEASE_LOST
