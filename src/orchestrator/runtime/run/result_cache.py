"""Results of calls that are shared between runs, each under a key: a digest of everything that decides the result.

A call is the same if its tool (name, version, code), its action, its parameters and the contents of the files that it
reads are; each of these is a named part of the key, so that two keys can be compared and the difference shown. What
else an action looks at, such as a clock, a directory or a server, is not part of it: `cache:` is for calls whose
result follows from what they are given.

What is not permitted is not taken from the cache either, and only what a call itself returned is put into it: neither
a failure nor the fallback value that a run continues with after one.

Secrets: a digest in the store would let anybody who reads it try out likely secrets, and a recorded result that holds a
secret cannot be read by another run. So a call with a secret in its parameters, and a result with one in it, is not
cached at all.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from inspect import unwrap
from types import CodeType
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import anyio.to_thread

from orchestrator import codes
from orchestrator.paths import is_at_or_below
from orchestrator.text.content import content_digest
from orchestrator.tools.call import refuse_unpermitted
from orchestrator.tools.storage.addresses import is_address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from orchestrator.journal import CacheEntry, Store
    from orchestrator.plan.steps import StepPlan, ToolCall
    from orchestrator.runtime.run.run_graph import StepNode
    from orchestrator.runtime.run.tool_context import StepContext
    from orchestrator.runtime.values.redaction import Redactor
    from orchestrator.tools.contract import Action

NOT_CACHED: Final = codes.CACHED_SECRET
"""The code of the warning that a step is not cached because of a secret."""

_NUMBER: Final = re.compile(r"\[\d+\]")


class ResultCache:
    """The shared results, as one run sees them.

    `refresh` names the steps whose calls are made again and whose results replace the shared ones: by path, all items
    of a loop by the path without their numbers, and all steps within a step by its own.
    """

    def __init__(
        self, store: Store, *, pipeline: str, redactor: Redactor, refresh: frozenset[str] = frozenset()
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self._redactor = redactor
        self._refresh = refresh

    async def call(
        self,
        node: StepNode,
        work: ToolCall,
        parameters: Mapping[str, Any],
        context: StepContext,
        make: Callable[[], Awaitable[Any]],
    ) -> Any:
        """Return the shared result of a call, or `make` it and share what it returns.

        `node.cache` then holds what the step's end event records of it: `cache` (the key and its parts), and where
        the result was shared `cached` (the key, and the run, path and time that it comes from).

        Raises:
            As `make`.
        """
        node.cache = None
        policy = node.step.cache
        if policy is None:
            return await make()
        refuse_unpermitted(work.action, parameters, context.permissions)
        extra = policy.key.evaluate(node.frame.scope.scope) if policy.key is not None else None
        if holds_secret(self._redactor, [parameters, extra]):
            context.warn(f"`{node.path}` is not cached: its parameters hold a secret", NOT_CACHED)
            return await make()

        def look_up() -> tuple[str, dict[str, str], CacheEntry | None]:
            parts = key_parts(
                node.step, work, parameters, pipeline=self._pipeline, extra=extra, directory=context.directory
            )
            key = key_of(parts)
            if is_named(node.path, self._refresh):
                return key, parts, None
            newer_than = None if policy.ttl is None else time.time() - policy.ttl
            return key, parts, self._store.cache_get(key, newer_than=newer_than)

        key, parts, entry = await anyio.to_thread.run_sync(look_up)
        node.cache = {"cache": {"key": key, "parts": parts}}
        if entry is not None:
            source = {"key": key, "run_id": entry.run_id, "path": entry.path, "at": entry.at}
            node.cache = {**node.cache, "cached": source}
            return entry.output
        output = await make()
        if holds_secret(self._redactor, output):
            context.warn(f"`{node.path}` is not cached: its result holds a secret", NOT_CACHED)
        else:
            await anyio.to_thread.run_sync(self._store.cache_put, key, context.run_id, node.path, output)
        return output


def is_named(path: str, names: Collection[str]) -> bool:
    """Whether a step is one of those named: itself or what it stands in, with the numbers of items or without."""
    return any(is_at_or_below(each, name) for name in names for each in (path, _NUMBER.sub("", path)))


def holds_secret(redactor: Redactor | None, value: Any) -> bool:
    """Whether the value of a secret input is found anywhere in `value`."""
    return redactor is not None and bool(redactor) and redactor.scrub(value) != value


def key_parts(
    step: StepPlan, call: ToolCall, parameters: Mapping[str, Any], *, pipeline: str, extra: Any, directory: Path
) -> dict[str, str]:
    """Return the parts of the key by name; blocking where the action reads files, as these are read through.

    `tool`, `action` and `pipeline` are readable, the others digests: `code`, `parameters.NAME` for each parameter (with
    its default where none is given), `files.PATH` for each file, `directory` for an action that may look at the working
    directory, `key` for the value of `cache.key`, `check` for the check of the results. A file that is not there is a
    part, too: `missing`.

    Args:
        step: whose call it is; its cache policy says whether the key is for this pipeline alone.
        call: the call.
        parameters: as they are given to the tool; none of them holds a secret.
        pipeline: the id of the pipeline.
        extra: the value of `cache.key`, or None.
        directory: where relative paths start.
    """
    action = call.action
    given = {p.name: p.default for p in action.parameters.values() if not p.required} | dict(parameters)
    parts = {"tool": f"{call.tool.name} {call.tool.version}", "action": action.name, "code": _code_digest(action)}
    parts |= {f"parameters.{name}": _digest(given[name]) for name in sorted(given)}
    for path in _files_of(action, given):
        parts[f"files.{path}"] = _file_digest(directory, path)
    if action.takes_context and not action.reads:
        parts["directory"] = _digest(str(directory))
    if extra is not None:
        parts["key"] = _digest(extra)
    if step.check is not None:
        from orchestrator.plan.serialization import check_data

        parts["check"] = _digest(check_data(step.check))
    if step.cache is not None and step.cache.scope == "pipeline":
        parts["pipeline"] = pipeline
    return parts


def key_of(parts: Mapping[str, str]) -> str:
    """Return the key that the parts make."""
    return _digest(sorted(parts.items()))


def _digest(value: Any) -> str:
    """The SHA-256 of JSON data. The order of an object's fields counts: a tool may go by it."""
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def _files_of(action: Action, given: Mapping[str, Any]) -> Iterator[str]:
    for name in action.reads:
        yield from _paths(given.get(name))
    if action.files is not None:
        yield from action.files(given)


def _paths(value: Any) -> Iterator[str]:
    """The paths that a parameter names: a text, or texts in a list or an object."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _paths(item) if isinstance(item, str) else ()
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item) if isinstance(item, str) else ()


def _file_digest(directory: Path, path: str) -> str:
    if is_address(path):
        return uuid4().hex  # only its store knows whether it has changed: the step is carried out again
    try:
        return content_digest(directory / path)
    except FileNotFoundError:
        return "missing"
    except (OSError, ValueError):  # a directory, no right to read it, no path at all: the call will report it
        return "unreadable"


def _code_digest(action: Action) -> str:
    """The digest of the function behind an action, so that a tool that is changed without a new version is noticed.

    The functions that it calls are not looked at: that is what the version is for.
    """
    function = unwrap(action.function)
    return _function_digest(getattr(function, "__func__", function))


@lru_cache(maxsize=1024)
def _function_digest(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return _digest(_described(code)) if code is not None else ""


def _described(constant: Any) -> Any:
    """What code does as JSON data, the same in every process; places in files left out."""
    if isinstance(constant, CodeType):
        names = [constant.co_names, constant.co_varnames, constant.co_freevars]
        return [constant.co_code.hex(), names, _described(constant.co_consts)]
    if isinstance(constant, frozenset):
        return sorted(repr(_described(item)) for item in constant)
    if isinstance(constant, tuple):
        return [_described(item) for item in constant]
    return repr(constant)
