"""Settings of a step that the dialect writes elsewhere, or in other words: limits, delays, jumps, texts of lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.canonical import mapping_at
from orchestrator.language.aliases.older_model_calls import TOLD
from orchestrator.language.aliases.py_orc import words
from orchestrator.language.aliases.py_orc.draft import Draft
from orchestrator.language.aliases.py_orc.names import expression_of
from orchestrator.language.aliases.py_orc.parameters.operations import action_of_operation, sides_of_join, sql_of_lists
from orchestrator.language.aliases.py_orc.parameters.python_code import code_with_inputs
from orchestrator.language.aliases.py_orc.parameters.shell_commands import quoted_values
from orchestrator.language.aliases.tables import ATTEMPTS, RETRY_COUNTS
from orchestrator.language.spec.kinds import PARAMETERS
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.names import DeclaredNames

_DELAYS: Final = {"retry_delay": "delay", "retry_wait": "delay", "retry_backoff": "backoff", "retry_interval": "delay"}
_LIMITS: Final = frozenset({"max_parallel", "max_concurrent", "timeout", "retry", "max_iterations", *RETRY_COUNTS})
_LIMIT_NOTE: Final = "a limit cannot be an `<AUTO>`, as it must be known before a run: the default applies"
_PYTHON: Final = "python_executor"
_OWN_TIMEOUT: Final = frozenset({_PYTHON, "python", "terminal", "http", "web", "web_search", "headless_browser", "mcp"})
_NO_TOOLS: Final = "the `tools` of an action in plain English are not called: write it as `prompt:`, for an agent"
_TAGS: Final = re.compile(r"</?AUTO[^<>]*>")
_OF_A_CALL: Final = frozenset(
    {"action", "tool", "parameters", "params", "args", "arguments", "with", "retry", "cache", "on_error", *PARAMETERS}
    | {*RETRY_COUNTS}
)
_TEXTS: Final = frozenset({"prompt", "system", "instruction", "text", "input", "message", "question"})
_LIST: Final = re.compile(r"\{\{\s*([A-Za-z_][\w.]*\.(?:" + "|".join(words.LISTS) + r"))\s*\}\}")


def rewrite_call(draft: Draft, names: DeclaredNames) -> None:
    """Rewrite the settings of a step."""
    _auto_limits(draft)
    retry_delays(draft)
    retry_keys(draft)
    _jump(draft, names.steps)
    _loop_of_one_call(draft)
    if "for_each" in draft.table and "max_iterations" in draft.table and "steps" in draft.table:
        entry = draft.drop("max_iterations", "nothing: a `for_each` ends with its items")
        draft.changes.note(entry.key, "`max_iterations` of a `for_each` does not limit it: it ends with its items")


def rewrite_parameters(draft: Draft, call: Draft, names: DeclaredNames) -> None:
    """Rewrite the parameters of a call, which are below `parameters` or in the step itself."""
    tool = str(draft.plain("tool") or draft.plain("action") or "").split(".")[0].lower().replace("-", "_")
    if tool == _PYTHON:
        code_with_inputs(call)
    if tool == "terminal" or str(draft.plain("action")).startswith("!"):
        quoted_values(call, names.variables)
    if tool in words.TEXT_TOOLS:
        _messages(call)
        _lists_as_text(call)
        _told_autos(call)
    if tool in ("data_processing", "data_processor"):
        action_of_operation(draft, call)
        sql_of_lists(call)
        sides_of_join(draft, call)
    if tool == "validation":
        _mode(call)
    if tool == "pipeline_executor":
        _all_inputs(call, names)
    if call is not draft and tool and tool not in _OWN_TIMEOUT:
        _into_step(draft, call)


def _auto_limits(draft: Draft) -> None:
    for name in _LIMITS & draft.table.keys():
        value = draft.plain(name)
        if isinstance(value, str) and "<AUTO" in value:
            draft.changes.note(draft.drop(name, "nothing: the default applies").value, _LIMIT_NOTE)


def retry_delays(draft: Draft) -> None:
    """`max_retries: 2` with `retry_delay: 5` is `retry: {max_retries: 2, delay: 5}`."""
    given = [name for name in _DELAYS if name in draft.table]
    if not given:
        return
    count = next((name for name in (*RETRY_COUNTS, ATTEMPTS, "retry") if name in draft.table), None)
    if count is None:
        for name in given:
            draft.drop(name, "nothing: the step has no retries")
        return
    entry = draft.table[count]
    parts: dict[str, Node] = {}
    if isinstance(entry.value, Mapping):
        parts = {each.key.text: each.value for each in entry.value.entries}
    else:
        parts = {"max_attempts" if count == "retry" else count: entry.value}
    for name in given:
        parts.setdefault(_DELAYS[name], draft.drop(name, "retry: {delay: ...}").value)
    draft.rename(count, "retry")
    draft.set("retry", mapping_at(entry.value, **parts), entry.key)


def retry_keys(draft: Draft) -> None:
    """Rename the keys below `retry`."""
    value = draft.value("retry")
    if not isinstance(value, Mapping) or words.RETRY_KEYS.keys().isdisjoint(value.table):
        return
    inner = Draft(value, draft.changes)
    for old in [name for name in inner.table if name in words.RETRY_KEYS]:
        new = words.RETRY_KEYS[old]
        if new in inner.table and isinstance(inner.plain(old), int | float):
            inner.drop(new, f"{new}: {inner.plain(old)}")  # `backoff: exponential` with its base
        inner.rename(old, new)
    draft.set("retry", inner.mapping(), value)


def _loop_of_one_call(draft: Draft) -> None:
    """A call in a `loop` or an `action_loop`, with `while` or `until`, is a loop of one step."""
    own = draft.value("id")
    unnamed = isinstance(own, Scalar) and own.style == "synthetic"  # of an `action_loop`
    if not unnamed and not {"loop", "type"} & draft.node.table.keys():
        return
    if not {"while", "until"} & draft.table.keys() or "steps" in draft.table:
        return
    head = next((name for name in ("action", "tool", "prompt") if name in draft.table), None)
    if head is None:
        return
    place = draft.table[head].key
    moved = [name for name in draft.table if name in _OF_A_CALL]
    id = draft.plain("id")
    parts = {"id": Entry(text_at(place, "id"), text_at(place, f"{id or 'step'}_round"))}
    parts |= {name: draft.table.pop(name) for name in moved}
    draft.changes.add(place, f"{head}:", "a step below `steps:`")
    body = Mapping(parts, place.start, place.end, place.layout)
    draft.set("steps", Sequence([body], place.start, place.end, place.layout), place)


def prose_without_autos(draft: Draft) -> None:
    """An `<AUTO>` in an action in plain English is a part of what the model is asked."""
    action = draft.value("action")
    if not isinstance(action, Scalar) or " " not in str(action.value).strip() or str(action.value).startswith("!"):
        return
    if "tools" in draft.table:
        draft.changes.note(draft.table["tools"].key, _NO_TOOLS)
        draft.into_metadata("tools")
    if isinstance(action.value, str) and "<AUTO" in action.value:
        plain = _TAGS.sub("", action.value).strip()
        draft.changes.add(action, action.value, plain)
        draft.set("action", text_at(action, plain), action)


def _messages(call: Draft) -> None:
    """`messages` with roles are a `system` prompt and a `prompt`."""
    value = call.value("messages")
    if not isinstance(value, Sequence) or "prompt" in call.table:
        return
    texts: dict[str, list[str]] = {"system": [], "prompt": []}
    for item in value.items:
        role, content = (item.get("role"), item.get("content")) if isinstance(item, Mapping) else (None, None)
        if not isinstance(role, Scalar) or not isinstance(content, Scalar):
            return
        texts["system" if role.text in ("system", "developer") else "prompt"].append(content.text)
    entry = call.drop("messages", "system:, prompt:")
    for name, parts in texts.items():
        if parts and name not in call.table:
            call.set(name, text_at(entry.value, "\n\n".join(parts)), entry.key)


def _told_autos(call: Draft) -> None:
    """An `<AUTO>` in a sentence for a model is a request to the model: `style: <AUTO>fit for children</AUTO>`."""
    for name in TOLD:
        value = call.value(name)
        if isinstance(value, Scalar) and isinstance(value.value, str) and "<AUTO" in value.value:
            plain = _TAGS.sub("", value.value).strip()
            call.changes.add(value, value.value, plain)
            call.set(name, text_at(value, plain), value)


def _mode(call: Draft) -> None:
    """`mode: "{{ 'strict' if x else 'lenient' }}"` is a `check` that is computed."""
    value = call.value("mode")
    expression = expression_of(value.value) if isinstance(value, Scalar) and isinstance(value.value, str) else None
    if expression is not None and isinstance(value, Scalar) and "check" not in call.table:
        call.rename("mode", "check")
        call.set("check", text_at(value, f"{{{{ ({expression}) in ['strict', 'fail'] }}}}"), value)


def _all_inputs(call: Draft, names: DeclaredNames) -> None:
    """`inputs: "{{ parameters }}"` gives another pipeline all inputs of this one."""
    value = call.value("inputs")
    if isinstance(value, Scalar) and str(value.value).strip("{} ") in ("parameters", "inputs") and names.inputs:
        call.changes.add(value, value.text, "each input by its name")
        given = {name: text_at(value, f"{{{{ inputs.{name} }}}}") for name in sorted(names.inputs)}
        call.set("inputs", mapping_at(value, **given), value)


def _jump(draft: Draft, steps: set[str]) -> None:
    """`goto: a` is `on_success: a`."""
    for name in ("goto", "next", "next_step"):
        target = draft.plain(name)
        if isinstance(target, str) and target in steps and "on_success" not in draft.table:
            draft.rename(name, "on_success")


def _into_step(draft: Draft, call: Draft) -> None:
    """Move a timeout or a number of retries that is written as a parameter into the step."""
    for name in ("timeout", "timeout_seconds", *RETRY_COUNTS):
        if name in call.table and name not in draft.table:
            entry = call.drop(name, f"{name}: in the step, not below `parameters`")
            draft.insert(name, entry.value, before=next(iter(draft.table)))
            draft.table[name] = entry
    if "error_handling" in call.table and call.plain("error_handling") in ("continue", "ignore", "skip"):
        entry = call.drop("error_handling", "on_failure: continue")
        draft.set("on_failure", text_at(entry.value, "continue"), entry.key)


def _lists_as_text(call: Draft) -> None:
    """A text that is a list of results alone is written as JSON: `prompt: "{{ search.results }}"`."""
    for name in _TEXTS & call.table.keys():
        value = call.value(name)
        if not isinstance(value, Scalar) or not isinstance(value.value, str):
            continue
        found = _LIST.fullmatch(value.value.strip())
        if found is not None:
            start, end = value.value.index(found[0]), value.value.index(found[0]) + len(found[0])
            text = f"{{{{ {found[1]} | to_json }}}}"
            call.changes.add(value, found[0], text)
            size = len(value.value)
            made = value.made_of(
                piece
                for piece in ((value.value[:start], 0, start), (text, start, end), (value.value[end:], end, size))
                if piece[1] < piece[2]
            )
            call.set(name, made, value)
