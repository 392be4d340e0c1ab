"""The memory of the older dialect, as data: what the actions of `mcp-memory` mean here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from orchestrator.language.aliases.older_call import OlderCall, named

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMESPACE: Final = named("namespace", "scope", "context", "memory_namespace", "collection")
_PLACE: Final = {**_NAMESPACE, **named("key", "name", "memory_key", "id")}
_EVERYTHING: Final = named("prefix", "key_prefix")
_LIMIT: Final = named("limit", "max_results", "top_k", "n", "count")

_BY_ACTION: Final = (
    OlderCall(
        "memory.set",
        ("store", "set", "save", "put", "remember", "update"),
        parameters={
            **_PLACE,
            **named("value", "data", "content", "memory", "text"),
            **named("ttl", "expires_in", "expiration", "ttl_seconds", "expiry"),
        },
        results=named("key", "stored_key", "memory_key"),
        ignored={"ttl": (0, -1)},
        instead={
            "metadata": "keep it as a part of the value: `value: {text: ..., tags: [...]}`",
            "tags": "keep them as a part of the value: `value: {text: ..., tags: [...]}`",
        },
    ),
    OlderCall(
        "memory.get",
        ("retrieve", "get", "load", "recall", "read", "fetch"),
        parameters={**_PLACE, **named("default", "default_value", "fallback")},
        results={**named("value", "data", "result", "content", "memory"), **named("found", "success", "exists")},
    ),
    OlderCall(
        "memory.list",
        ("list", "list_keys", "keys"),
        parameters={**_NAMESPACE, **_EVERYTHING, **_LIMIT},
        results={**named("keys", "memory_keys", "items", "result"), **named("count", "total", "total_keys")},
    ),
    OlderCall(
        "memory.search",
        ("search", "find", "query"),
        parameters={**_NAMESPACE, **named("query", "search_query", "pattern", "term", "text", "q"), **_LIMIT},
        results={
            **named("results", "matches", "items", "memories", "result"),
            **named("count", "total", "total_results"),
        },
        instead={"threshold": "remove it: a search finds words"},
    ),
    OlderCall(
        "memory.delete",
        ("delete", "remove", "forget"),
        parameters=_PLACE,
        results=named("deleted", "success", "removed"),
    ),
    OlderCall(
        "memory.clear",
        ("clear", "reset", "delete_all"),
        parameters={**_NAMESPACE, **_EVERYTHING},
        results=named("count", "cleared", "cleared_count", "deleted", "deleted_count"),
        constants={"namespace": "default"},
    ),
)


def _named_by_a_parameter() -> Iterator[OlderCall]:
    """Yield the same for steps that name the action by a parameter: `parameters: {action: store, ...}`."""
    for call in _BY_ACTION:
        when = {"action": call.actions}
        yield replace(call, actions=("", "execute"), when=when, ignored={**call.ignored, **when})


MEMORY: Final = (*_BY_ACTION, *_named_by_a_parameter())
"""What the actions of the tool `mcp-memory` mean."""
