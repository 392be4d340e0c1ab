"""Every error of a provider, an SDK or a connection as one of ours, with what a person can do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_ai import exceptions as theirs

from orchestrator import codes
from orchestrator.errors import (
    ModelAnswerInvalid,
    ModelError,
    ModelMissing,
    ModelRateLimited,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
)
from orchestrator.models.clients.endpoints import how_to_give_key
from orchestrator.models.messages import ModelReply, Usage
from orchestrator.models.output.texts import loaded
from orchestrator.remedies import ListModels
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from orchestrator.models.clients.answer_bounds import HttpExchange
    from orchestrator.models.clients.endpoints import Endpoint
    from orchestrator.models.messages import ModelName
    from orchestrator.remedies import StoreKey

Fault = TypeVar("Fault", bound=ModelError)

_PASSING = (408, 409, 425)
"""Temporary statuses below 500, except 429."""


def fault_of(error: Exception, exchange: HttpExchange, endpoint: Endpoint) -> ModelError:
    """Return what went wrong in a call, as one of our errors."""
    found = exchange.fault or _fault_of(error, exchange, endpoint)
    if endpoint.key and len(endpoint.key) >= 8:
        # Servers have been seen to repeat a wrong key in what they say about it.
        found.message = found.message.replace(endpoint.key, "***")
        found.args = (found.message,)
    return found


def _fault_of(error: Exception, exchange: HttpExchange, endpoint: Endpoint) -> ModelError:
    name, body = exchange.name, bytes(exchange.whole or exchange.head)
    if isinstance(error, ModelError):
        # To Google's SDK an error is an answer without anything in it.
        empty = isinstance(error, ModelAnswerInvalid) and error.reply is not None and not error.reply.text
        reported = _reported(body, error) if empty else None
        return error if reported is None else _of_report(reported, name, endpoint)
    if isinstance(error, theirs.ModelRequestTimeout):
        return _made(
            ModelUnavailable,
            f"`{name}` did not answer within {error.timeout:g} s",
            name,
            help="give the step a longer `timeout`, ask for less with `max_tokens`, or use a faster model",
        )
    if isinstance(error, theirs.ModelHTTPError):
        return _of_status(error, name, endpoint)
    if (reported := _reported(body, error)) is not None:
        return _of_report(reported, name, endpoint)
    if isinstance(error, theirs.AgentRunError) and _BROKEN_OFF.search(error.message):
        return connection_lost(name)
    if isinstance(error, theirs.ContentFilterError):
        return _made(ModelRefused, f"`{name}` refused to answer: {shorten(error.message, 500)}", name)
    if isinstance(error, theirs.OutputTokenLimitExceeded):
        return _made(
            ModelAnswerInvalid, f"`{name}` was cut off: {shorten(error.message, 500)}", name, help="raise `max_tokens`"
        )
    if exchange.head and not _is_of_connection(error) and not isinstance(error, theirs.ModelConnectionError):
        return _unlike_an_answer(exchange)
    if isinstance(error, theirs.ModelAPIError):
        return _of_category(error, None, shorten(error.message, 500), name, endpoint)
    if isinstance(error, theirs.UnexpectedModelBehavior):
        return _made(ModelError, f"the answer of `{name}` cannot be read: {shorten(error.message, 500)}", name)
    if isinstance(error, theirs.UserError | NotImplementedError):
        return _made(
            ModelRejected,
            f"`{name}` rejected the request: {shorten(str(error), 500)}",
            name,
            remedies=[ListModels()],
        )
    if _is_of_connection(error):
        return _unreachable(str(error) or type(error).__name__, name, endpoint)
    return _made(ModelError, f"the call of `{name}` failed: {type(error).__name__}: {shorten(str(error), 500)}", name)


def _of_status(error: theirs.ModelHTTPError, name: ModelName, endpoint: Endpoint) -> ModelError:
    words = _said_by(error.body) or "it gave no reason"
    return _of_category(error, error.status_code, words, name, endpoint)


def _of_category(
    error: theirs.ModelAPIError, status: int | None, words: str, name: ModelName, endpoint: Endpoint
) -> ModelError:
    """Return the error for a category, which Pydantic AI knows from each provider's own codes, else for a status."""
    title = endpoint.provider.title
    wait = error.retry_after

    def made(kind: type[Fault], help: str | None = None, **more: Any) -> Fault:
        said = f"`{name}` answered with status {status}: {words}" if status else f"`{name}` failed: {words}"
        return _made(kind, said, name, status, help=help, **more)

    if isinstance(error, theirs.ModelConnectionError):
        return _unreachable(words, name, endpoint, timed_out=isinstance(error, theirs.ModelTimeoutError))
    if isinstance(error, theirs.ModelQuotaExceededError):
        help = f"the quota or the credit of the account at {title} is used up: its owner can raise it"
        return made(ModelRateLimited, help, retryable=False)
    if isinstance(error, theirs.ModelContextWindowExceededError):
        return made(ModelRejected, "shorten the input, summarize it first, or use a model with a larger context window")
    if isinstance(error, theirs.ModelUnavailableError | theirs.ModelServerError) or _passes(status):
        return made(
            ModelUnavailable, "it is temporary: `retry` waits for it, or name a further model", retry_after=wait
        )
    if isinstance(error, theirs.ModelRateLimitError) or status == 429:
        return made(ModelRateLimited, "lower `max_parallel`, or name a further model to ask", retry_after=wait)
    if isinstance(error, theirs.ModelAuthenticationError) or status in (401, 403):
        help, remedy = _about_keys(status, endpoint)
        return made(ModelRejected, help, remedies=[remedy])
    if isinstance(error, theirs.ModelNotFoundError) or status == 404:
        if near := getattr(error, "suggested_model_id", None):
            return made(ModelRejected, f"did you mean `{near}`?")
        place = f", and the address {endpoint.base_url}" if endpoint.base_url else ""
        return made(ModelRejected, f"check the name of the model{place}", remedies=[ListModels()])
    if isinstance(error, theirs.ModelRequestRejectedError) or (status is not None and 400 <= status < 500):
        return made(ModelRejected, "change what the provider reports", remedies=[ListModels()])
    return made(ModelError)


# --- what is in the body of an answer that is none


def _reported(body: bytes, error: Exception) -> dict[str, Any] | None:
    """Return the error that a body of status 200 holds, as a whole or in an event of a stream."""
    for text in (body, *(line[5:] for line in body.splitlines() if line.startswith(b"data:"))):
        value = loaded(text.decode("utf-8", "replace"))
        if isinstance(value, dict) and (value.get("error") or _is_error(value)):
            return value if _said_by(value) else None
    said = getattr(error, "body", None)
    return said if isinstance(said, dict) and _said_by(said) else None


def _is_error(value: dict[str, Any]) -> bool:
    """Whether a body without `error` consists of one error message."""
    return value.keys() <= _ERROR_KEYS and any(isinstance(value.get(key), str) for key in ("message", "detail"))


_ERROR_KEYS = frozenset(
    {"error", "message", "detail", "code", "status", "type", "object", "param", "success", "errors"}
)
"""The keys of a body that holds an error, and no answer."""


def _of_report(body: dict[str, Any], name: ModelName, endpoint: Endpoint) -> ModelError:
    """Return the error that a body reports. Many have the status there that the response should have had."""
    inner = body.get("error")
    fields = {**body, **inner} if isinstance(inner, dict) else body
    for key in ("status", "code", "status_code"):
        written = fields.get(key)
        if str(written).isdecimal() and 400 <= int(str(written)[:4]) < 600:
            return _of_status(theirs.ModelHTTPError(int(str(written)), str(name), body), name, endpoint)
    message = f"`{name}` answered with an error: {_said_by(body)}"
    return _made(ModelError, message, name, help="see the message of the provider; `retry` makes another attempt")


def _unlike_an_answer(exchange: HttpExchange) -> ModelError:
    """Return the error for a body that an SDK could not read."""
    name, text = exchange.name, bytes(exchange.whole or exchange.head).decode("utf-8", "replace")
    value = loaded(text)
    if isinstance(value, dict) and any(value.get(key) == [] for key in ("choices", "candidates", "output", "content")):
        reply = ModelReply("", usage=Usage(requests=1), finish="other", model=name.model)
        return _made(ModelAnswerInvalid, f"`{name}` returned an empty answer", name, help=_OTHER, reply=reply)
    message = f"the answer of `{name}` cannot be read, as it does not follow the protocol: {shorten(text, 200)}"
    return _made(
        ModelError, message, name, help="check that `base_url` is the address of a model server of this `kind`"
    )


_OTHER = "retry, or use another model"


def too_large(exchange: HttpExchange, what: str) -> ModelError:
    """Return the error for a server that sends more than an answer can have."""
    name = exchange.name
    return _made(
        ModelError,
        f"`{name}` sent {what}, which is not a valid answer",
        name,
        code=codes.ANSWER_TOO_LARGE,
        retryable=False,
        help=f"if answers are meant to be this large, raise `max_bytes` under `[servers.{name.provider}]`",
    )


def unreadable(exchange: HttpExchange, why: str) -> ModelError:
    """Return the error for a body that cannot be unpacked."""
    return _made(ModelError, f"the answer of `{exchange.name}` cannot be read: {why}", exchange.name)


def _passes(status: int | None) -> bool:
    return status is not None and (status >= 500 or status in _PASSING)


def _unreachable(words: str, name: ModelName, endpoint: Endpoint, *, timed_out: bool = False) -> ModelUnavailable:
    where = f" at {endpoint.base_url}" if endpoint.base_url else ""
    what = "took too long" if timed_out else "cannot be reached, or broke the connection"
    own = endpoint.provider.free
    return _made(
        ModelUnavailable,
        f"`{name}`{where} {what}: {words}",
        name,
        help="check that the server is running and that its address is correct" if own else "check the network",
    )


def _about_keys(status: int | None, endpoint: Endpoint) -> tuple[str, StoreKey]:
    provider = endpoint.provider
    help, remedy = how_to_give_key(provider)
    if endpoint.key is None:
        return f"{provider.title} requires a key: {help}", remedy
    if status == 403:
        return f"check the permissions of the key at {provider.title}, or set another: {help}", remedy
    return f"the key is wrong or has expired: {help}", remedy


# Pydantic AI has no class for it. The last is Bedrock's, whose body is cut off without an error.
_BROKEN_OFF = re.compile(r"ended without|has no 'output' field")


def connection_lost(name: ModelName) -> ModelUnavailable:
    """Return the error for a stream that has ended, and the answer in it has not."""
    return _made(ModelUnavailable, f"the connection to `{name}` ended before its answer was complete", name)


def no_embeddings(name: ModelName, endpoint: Endpoint) -> ModelMissing:
    """Return the error for a provider that makes no vectors."""
    return _made(
        ModelMissing,
        f"`{name}`: {endpoint.provider.title} has no embeddings",
        name,
        help="use a model that has, such as `openai:text-embedding-3-small` or `ollama:nomic-embed-text`",
    )


def no_media(name: ModelName, endpoint: Endpoint) -> ModelMissing:
    """Return the error for a provider that makes neither pictures nor audio here."""
    return _made(
        ModelMissing,
        f"`{name}`: pictures and audio of {endpoint.provider.title} are not supported",
        name,
        help="use a model of OpenAI or Google, or a server of the kind `openai`",
    )


def _is_of_connection(error: BaseException) -> bool:
    """Whether it, or what it was raised from, is an error of a connection that a library did not translate."""
    seen: BaseException | None = error
    while seen is not None:
        module = type(seen).__module__.partition(".")[0]
        if isinstance(seen, OSError) or (module in _TRANSPORTS and "Error" in type(seen).__name__):
            return True
        seen = seen.__cause__
    return False


_TRANSPORTS = ("httpx", "httpx2", "httpcore", "httpcore2", "urllib3")


def _said_by(body: object) -> str:
    """Return the sentence in the body of an error, wherever a provider puts it."""
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict):
        for key in ("error", "Error", "message", "Message", "detail", "errors"):
            if body.get(key) and (found := _said_by(body[key])):
                return found
        return "" if "ResponseMetadata" in body else shorten(str(body) if body else "", 500)
    return shorten(body, 500) if isinstance(body, str) else ""


def _made(kind: type[Fault], message: str, name: ModelName, status: int | None = None, **more: Any) -> Fault:
    return kind(message, provider=name.provider, model=name.model, status=status, **more)
