"""Suggestions for unknown tools and actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.rules.foreign_tools import action_help, action_meant, as_tool, elsewhere
from orchestrator.diagnostics import suggest
from orchestrator.language.aliases.older_calls import is_prose, older_actions
from orchestrator.remedies import AddTools, ListTools
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from orchestrator.language.spec.pipeline import StepSpec
    from orchestrator.tools import Registry, Unresolved

YOUR_OWN = (ListTools(), AddTools())
"""The remedies for a name that matches none of the tools."""

_MODEL = frozenset({"model", "models", "llm", "ai", "language_model"})
"""Names of the tool `model` in other tools."""

_ACTIONS = {
    **dict.fromkeys(("llm_generate", "llm_call", "generate_content"), "generate_text"),
    **dict.fromkeys(("analyze", "analyse", "analyse_text"), "analyze_text"),
    "summarise": "summarize",
    "embeddings": "embed",
}
"""Names of its actions in other tools."""


def model_action(step: StepSpec) -> str | None:
    """Return the action of the tool `model` that a step may mean in words of other tools, such as `tool: llm`."""
    tool, action = (word.replace("-", "_").lower() if word is not None else None for word in (step.tool, step.action))
    if tool in _MODEL and action is None:
        if "prompt" not in (step.parameters or {}):
            return None
        return "generate" if defines_schema(step) else "generate_text"
    name = action if tool is None or tool in _MODEL else tool if action is None else None
    return _ACTIONS.get(name, name) if name is not None else None


def defines_schema(step: StepSpec) -> bool:
    """Return whether a step defines a schema for the answer of a model."""
    return not {"schema", "vars", "response_format"}.isdisjoint(step.parameters or {})


def meant(step: StepSpec, why: Unresolved, registry: Registry) -> tuple[str, str | None]:
    """Return a help line, and a safe replacement for the value, if any.

    The value is the step's `tool` or `action`, according to `why.key`.
    """
    written = (step.action if why.key == "action" else step.tool) or ""
    if why.code == codes.ACTION_NOT_NAMED:
        return f"add `action:` with one of {quoted_list(sorted(why.candidates))}", None
    head, dot, tail = written.partition(".")
    if why.code == codes.UNKNOWN_ACTION:
        return _action(step, why, head, tail, alone=step.tool is None)
    if why.key == "tool" and dot and _has(registry, head, tail):
        return f"write `action: {written}`, without `tool:`", None
    if step.tool is None and is_prose(written):
        return (
            "an action is the name of a tool; to have a model do this, write it as `prompt:`, or write "
            "`prose_actions: true` at the top of the file",
            None,
        )
    owners = [tool.name for tool in registry if written in tool.actions] if step.tool is None else []
    if owners:
        choices = " or ".join(f"`action: {owner}.{written}`" for owner in owners)
        return f"`{written}` is an action of {quoted_list(sorted(owners))}: write {choices}", None
    if (found := elsewhere(step, why, registry)) is not None:
        return found
    if (actions := older_actions(head)) and why.key == "tool":
        listed = quoted_list(actions, most=6)
        return f"of the actions of the older `{head}`, these have an equivalent: {listed}", None
    near = suggest(head, (*why.candidates, *(() if dot else why.actions)))
    if near is None:
        return f"tools: {quoted_list(sorted(why.candidates))}", None
    if near in registry:
        return as_tool(step, why, registry, near, tail if why.key == "action" else (step.action or ""))
    return f"did you mean `{near + dot + tail}`?", near + dot + tail


def _action(step: StepSpec, why: Unresolved, head: str, tail: str, *, alone: bool) -> tuple[str, str | None]:
    name = tail if alone else (step.action or "")
    if not alone and head == step.tool and tail in why.candidates:
        return f"`tool:` already names the tool: write `action: {tail}`", tail
    tool = head if alone else (step.tool or "")
    if (instead := action_help(tool, name)) is not None:
        return instead, None
    near = suggest(name, why.candidates)
    if near is None:
        near = action_meant(tool, name)
        near = near if near in why.candidates else None
    if near is None and len(why.candidates) == 1:
        (only,) = why.candidates
        return f"it has only one action: omit `action:`, or write `{f'{head}.{only}' if alone else only}`", None
    if near is None:
        return f"actions: {quoted_list(sorted(why.candidates))}", None
    whole = f"{head}.{near}" if alone else near
    return f"did you mean `{whole}`?", whole


def _has(registry: Registry, tool: str, action: str) -> bool:
    found = registry.get(tool) if tool in registry else None
    return found is not None and action in found.actions
