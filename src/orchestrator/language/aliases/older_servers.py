"""Tool servers in the older dialect, where steps connect to them and disconnect."""

from __future__ import annotations

from typing import Any, Final

from orchestrator.language.aliases.older_call import OlderCall, named

_VERBS: Final = ("", "execute", "run", "call", "invoke")
_SERVER: Final = named("server", "server_name", "name", "server_id")
_ELSEWHERE: Final = dict.fromkeys(
    ("server_config", "config", "command", "args", "env", "url", "transport", "timeout", "capabilities", "auth"),
    "a server is started as its table in orchestrator.toml says",
)
_LISTED: Final = {
    "connected": "(STEP is not none)",
    **dict.fromkeys(("tool_count", "count", "total"), "(STEP.tools | length)"),
}
_LISTS: Final = ("list_tools", "list", "tools", "connect", "initialize", "start")
_ENDS: Final = ("disconnect", "close", "stop")
_CALLS: Final = ("execute_tool", "call_tool", "call", "execute", "invoke")


def _by_operation(meaning: str, operations: tuple[str, ...], **rest: Any) -> tuple[OlderCall, OlderCall]:
    """Return a meaning that is named by the action, or by the parameter `operation`."""
    rest["ignored"] = {**rest.get("ignored", {}), "operation": (...,)}
    return (
        OlderCall(meaning, operations, **rest),
        OlderCall(meaning, _VERBS, when={"operation": operations}, **rest),
    )


REMOTE: Final = (
    *_by_operation("mcp.list", _LISTS, parameters=_SERVER, computed=_LISTED, without_effect=_ELSEWHERE),
    *_by_operation(
        "log.write",
        _ENDS,
        constants={"message": "connections to tool servers end with the run"},
        ignored=dict.fromkeys(("server", "server_name", "name", "server_id"), (...,)),
        computed={"disconnected": "true"},
    ),
    *_by_operation(
        "mcp.call",
        _CALLS,
        parameters={
            **_SERVER,
            **named("tool", "tool_name", "function"),
            **named("arguments", "tool_params", "tool_args", "tool_parameters", "params", "parameters", "args"),
        },
        results=named("text", "content", "response", "output_text"),
        without_effect={
            "timeout": "write `timeout:` in the step",
            **dict.fromkeys(("server_config",), _ELSEWHERE["config"]),
        },
    ),
    OlderCall(
        "mcp.call",
        _VERBS,
        parameters={
            **_SERVER,
            **named("tool", "tool_name", "function"),
            **named("arguments", "tool_params", "tool_args", "tool_parameters", "params", "parameters", "args"),
        },
        results=named("text", "content", "response", "output_text"),
        when={"operation": (None,)},
    ),
)
