"""Error handlers with the keys of the dialect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.canonical import mapping_at
from orchestrator.language.aliases.py_orc import words
from orchestrator.language.aliases.py_orc.calls import retry_delays, retry_keys
from orchestrator.language.aliases.py_orc.draft import Draft
from orchestrator.language.aliases.tables import HANDLER_KEYS, ON_FAILURE_WORDS, RETRY_COUNTS, STEP_KEYS
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.kinds import HEADS
from orchestrator.language.spec.pipeline import HandlerSpec, StepSpec
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, literal, text_at

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.changes import DialectChanges

_PROSE_NOTE: Final = "a text in `on_error` is not carried out: it is the value of the step when it fails"
_TOO_LATE: Final = (
    "a handler of the pipeline begins when the run has failed: write what may save a step in its `on_error`"
)
_TAGS: Final = re.compile(r"</?AUTO[^<>]*>")
_CODE: Final = re.compile(r"ORC\d{3}\Z|[A-Za-z]\w*\Z")
_KNOWN: Final = frozenset(
    {*key_fields(HandlerSpec), *HANDLER_KEYS, *key_fields(StepSpec), *STEP_KEYS, *words.HANDLER_KEYS}
    | {"error_codes", "retry_with_handler", "max_handler_retries", "handler_task_id", "max_retries"}
)
_WORK: Final = frozenset({*HEADS, "prompt"}) - {"action"}
_OUTCOME_KEYS: Final = frozenset({"value", "default", "target", "jump", "goto"})


def rewrite_on_error(draft: Draft, ids: frozenset[str] | set[str]) -> None:
    """Rewrite the `on_error` of a step: prose, and handlers."""
    entry = draft.table.get("on_error")
    if entry is None:
        return
    value = entry.value
    if isinstance(value, Scalar):
        other = draft.plain("on_failure")
        if isinstance(value.value, str) and isinstance(other, str) and "on_failure" in draft.table:
            if ON_FAILURE_WORDS.get(value.value, value.value) == ON_FAILURE_WORDS.get(other, other):
                draft.drop("on_error", "on_failure:")
            return
        if _is_prose(value, ids) and "on_failure" not in draft.table:
            draft.changes.note(value, _PROSE_NOTE)
            draft.rename("on_error", "on_failure")
            draft.set("on_failure", literal(value, {"value": value.text}), entry.key)
        return
    if isinstance(value, Mapping) and (target := _jump(value)) is not None and "on_failure" not in draft.table:
        draft.rename("on_error", "on_failure")
        draft.set("on_failure", target, entry.key)
        return
    if isinstance(value, Mapping) and len(value.table) == 1 and not _OUTCOME_KEYS.isdisjoint(value.table):
        return
    outcome = _only_outcome(value, draft)
    if outcome is not None and "on_failure" not in draft.table:
        draft.rename("on_error", "on_failure")
        draft.set("on_failure", outcome, entry.key)
        return
    handlers = rewrite_handlers(value, draft.changes)
    if handlers is None:
        draft.drop("on_error", "nothing: its handlers are disabled")
    elif handlers is not value:
        draft.table["on_error"] = Entry(draft.table["on_error"].key, handlers)


def _is_prose(value: Scalar, ids: frozenset[str] | set[str]) -> bool:
    """Whether a text is meant for people: it is no step, no word of `on_failure`, and has several words."""
    text = value.value
    return isinstance(text, str) and text not in ids and text not in ON_FAILURE_WORDS and " " in text.strip()


def _jump(value: Mapping) -> Node | None:
    """Return the step that a single handler without further conditions names."""
    target = value.get("handler_task_id") or value.get("handler_step")
    rest = value.table.keys() - words.INERT_IN_HANDLERS
    plain = rest <= {"handler_task_id", "handler_step", "priority", "enabled", "retry_with_handler"}
    return target if isinstance(target, Scalar) and plain else None


def _only_outcome(value: Node, draft: Draft) -> Node | None:
    """`on_error: {action: continue}` is `on_failure: continue`."""
    if not isinstance(value, Mapping):
        return None
    rest = value.table.keys() - words.INERT_IN_HANDLERS
    for name in ("action", "strategy", "type", "handler_action"):
        word = value.get(name)
        if rest != {name} or not isinstance(word, Scalar) or not isinstance(word.value, str):
            continue
        meant = words.OUTCOMES.get(word.value.lower().replace("-", "_"))
        if meant == "continue":
            draft.changes.add(word, word.text, "continue")
            return text_at(word, "continue")
        if word.value.lower() in ("fail", "stop", "abort", "raise", "propagate"):
            return text_at(word, "fail")
    return None


def rewrite_handlers(value: Node, changes: DialectChanges, *, of_pipeline: bool = False) -> Node | None:
    """Return handlers in canonical form; None if none of them is enabled."""
    if isinstance(value, Mapping):
        one = _handler(value, changes, of_pipeline)
        return one.mapping() if one is not None else None
    if not isinstance(value, Sequence):
        return value
    kept: list[Node] = []
    drafts: list[Draft] = []
    for item in value.items:
        if isinstance(item, Scalar) and isinstance(item.value, str) and " " in item.value.strip():
            changes.note(item, _PROSE_NOTE)
            changes.add(item, item.text, "fallback_value:")
            kept.append(literal(item, {"fallback_value": item.text}))
        elif isinstance(item, Mapping):
            draft = _handler(item, changes, of_pipeline)
            if draft is not None:
                drafts.append(draft)
                kept.append(item)
        else:
            kept.append(item)
    _priorities(drafts)
    made = {id(draft.node): draft.mapping() for draft in drafts}
    items = [made.get(id(item), item) for item in kept]
    if not items and value.items:
        return None
    return value.replaced(items)


def _handler(item: Mapping, changes: DialectChanges, of_pipeline: bool) -> Draft | None:
    draft = Draft(item, changes)
    draft.without_hyphens(_KNOWN)
    if draft.plain("enabled") is False:
        changes.add(item, "enabled: false", "nothing: the handler is disabled")
        return None
    if draft.plain("enabled") is True:
        draft.drop("enabled", "nothing: it is the default")
    draft.rename_all(words.HANDLER_KEYS)
    works = not _WORK.isdisjoint(draft.table)
    for name in [name for name in draft.table if name in words.INERT_IN_HANDLERS]:
        if not (works and name in ("id", "name", "description", "metadata")):
            draft.drop(name, "nothing")
    _logged(draft)
    _outcome(draft)
    _prose(draft)
    _error_codes(draft)
    _retries(draft)
    retry_delays(draft)
    retry_keys(draft)
    if of_pipeline:
        for name in [name for name in ("retry", "fallback_value", *RETRY_COUNTS) if name in draft.table]:
            changes.note(draft.drop(name, "nothing: the run has already failed").key, _TOO_LATE)
        if not (_WORK | {"action", "steps"}) & draft.table.keys():
            return None
    return draft


def _logged(draft: Draft) -> None:
    """`handler_action: log_error` writes the error to the log."""
    for name in ("action", "handler_action"):
        word = draft.plain(name)
        if isinstance(word, str) and word.lower().replace("-", "_") in words.LOGGED and "parameters" not in draft.table:
            entry = draft.table[name]
            draft.changes.add(entry.value, word, "log")
            draft.set(name, text_at(entry.value, "log"), entry.key)
            message = text_at(entry.value, "{{ error.message }}")
            draft.set("parameters", mapping_at(entry.value, message=message), entry.key)


def _outcome(draft: Draft) -> None:
    """`action: continue` and the like name no action."""
    for name in ("action", "strategy", "handler_action"):
        word = draft.plain(name)
        meant = words.OUTCOMES.get(word.lower().replace("-", "_")) if isinstance(word, str) else None
        if meant is None:
            continue
        entry = draft.table[name]
        if meant == "continue" and "fallback_value" not in draft.table:
            draft.rename(name, "fallback_value")
            draft.set(
                "fallback_value",
                Scalar(None, "null", "synthetic", entry.value.start, entry.value.end, entry.value.layout),
                entry.key,
            )
        elif meant == "retry" and {"retry", "max_retries", "retries", "retry_count"}.isdisjoint(draft.table):
            draft.rename(name, "retry")
            draft.set("retry", text_at(entry.value, "3", 3), entry.key)
        else:
            draft.drop(name, f"{'retry' if meant == 'retry' else 'fallback_value'}:")
        return


def _prose(draft: Draft) -> None:
    """`action: "Use the raw rows"` is a text for people: the value of the step, unless there is a `fallback_value`."""
    continues = draft.plain("continue_on_error")
    if isinstance(continues, bool) and "on_failure" not in draft.table:
        draft.drop("continue_on_error", "nothing: a handler with a value continues")
    for name in ("action", "handler_action"):
        text = draft.plain(name)
        if not isinstance(text, str) or " " not in text.strip() or text.startswith("!") or "tool" in draft.table:
            continue
        entry = draft.table[name]
        draft.changes.note(entry.value, _PROSE_NOTE)
        plain = _TAGS.sub("", text).strip()
        if "fallback_value" in draft.table or not {"retry", "max_retries", "retry_count", "steps"}.isdisjoint(
            draft.table
        ):
            draft.drop(name, "nothing")
        else:
            draft.rename(name, "fallback_value")
            draft.set("fallback_value", literal(entry.value, plain), entry.key)


def _error_codes(draft: Draft) -> None:
    """Numbers such as 429 are matched in the message, names are types of errors."""
    entry = draft.table.get("error_codes")
    if entry is None:
        return
    value = entry.value
    items = value.items if isinstance(value, Sequence) else [value]
    texts = [item.text for item in items if isinstance(item, Scalar)]
    if len(texts) != len(items):
        return
    numbers = all(text.isdigit() for text in texts)
    if not numbers and not all(_CODE.match(text) for text in texts):
        return
    name = "error_patterns" if numbers else "error_types"
    made = [rf"\b{text}\b" if numbers else text for text in texts]
    if (other := draft.value(name)) is None:
        draft.rename("error_codes", name)
        draft.set(name, literal(value, made), entry.key)
    elif isinstance(other, Sequence):
        draft.drop("error_codes", f"{name}:")
        draft.set(name, other.replaced([*other.items, *(literal(value, each) for each in made)]), entry.key)


def _retries(draft: Draft) -> None:
    """`retry_with_handler: true` with `max_handler_retries: 2` is a retry of the step."""
    wanted = draft.plain("retry_with_handler")
    count = draft.plain("max_handler_retries")
    if "retry_with_handler" in draft.table and isinstance(wanted, bool):
        entry = draft.drop("retry_with_handler", "retry:" if wanted else "nothing")
        if wanted and {"retry", "max_retries", "retries"}.isdisjoint(draft.table):
            again = count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 1
            if not {"steps", "action", "tool", "prompt"}.isdisjoint(draft.table):
                draft.changes.note(entry.key, "`retry_with_handler` retries the step before the steps of its handler")
            draft.set("retry", text_at(entry.value, str(again + 1), again + 1), entry.key)
    if "max_handler_retries" in draft.table and (wanted is not None or "retry" in draft.table):
        draft.drop("max_handler_retries", "retry:")


def _priorities(drafts: list[Draft]) -> None:
    """Remove priorities that say what the order of the file says; others are reported later."""
    ranked = [draft for draft in drafts if "priority" in draft.table]
    values = [draft.plain("priority") for draft in ranked]
    if not all(isinstance(value, int | float) for value in values):
        return
    if values == sorted(values) or values == sorted(values, reverse=True):
        for draft in ranked:
            draft.drop("priority", "the order of the handlers")
