"""Loops, branches and groups by their older names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.py_orc import words
from orchestrator.language.aliases.py_orc.names import expression_of
from orchestrator.language.aliases.py_orc.templates import one_expression
from orchestrator.language.spec.kinds import LOOPS
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.draft import Draft

_QUEUE: Final = "create_parallel_queue"
_ALWAYS: Final = frozenset({"true", "{{ true }}", "{{true}}", "{{ True }}", "True"})
_LIFTED: Final = (_QUEUE, "loop")
_NAME: Final = re.compile(r"[^A-Za-z0-9_]+")


def rewrite_loop(draft: Draft) -> None:
    """Bring a loop, a group or a branch into its canonical form."""
    is_loop = _lift(draft)
    is_loop = _type(draft) or is_loop or "action_loop" in draft.table or "for" in draft.table
    if is_loop:
        _loop_keys(draft)
        _named_steps(draft)
    _branches(draft)
    _parallel_flag(draft)
    _endless(draft)


def _lift(draft: Draft) -> bool:
    """Move what is below `create_parallel_queue` or `loop` into the step; return whether the step is a loop."""
    for name in _LIFTED:
        inner = draft.value(name)
        if isinstance(inner, Mapping):
            draft.drop(name, "for_each:" if name == _QUEUE else "the keys of the loop in the step")
            draft.table.update({key: each for key, each in inner.table.items() if key not in draft.table})
            return True
    for head in ("action", "tool"):
        if str(draft.plain(head)).replace("-", "_") == _QUEUE:
            draft.drop(head, "for_each:")
            below = draft.table.pop("parameters", None)
            if below is not None and isinstance(below.value, Mapping):
                draft.table.update({key: each for key, each in below.value.table.items() if key not in draft.table})
            return True
    return False


def _type(draft: Draft) -> bool:
    """Remove the `type` of a step that its other keys show; return whether it is a loop."""
    word = draft.plain("type")
    if not isinstance(word, str):
        return False
    name = word.lower().replace("-", "_")
    if name in words.LOOP_TYPES or name in words.REPEAT_TYPES:
        draft.drop("type", "nothing: the keys of the loop say it")
        if name in words.REPEAT_TYPES or (name == "loop" and _has_no_items(draft)):
            key = "until" if name.startswith("until") else "while"
            if key not in draft.table:
                draft.rename("condition", key)
        return True
    if name in words.GROUP_TYPES:
        meant = words.GROUP_TYPES[name]
        draft.drop("type", f"{meant}:")
        for other in ("steps", "tasks", "branches", "substeps", "actions"):
            if other in draft.table and meant not in draft.table:
                draft.rename(other, meant)
        if meant == "steps" and not isinstance(draft.value("parallel"), Sequence):
            _in_order(draft)
        return False
    heads = {"action", "tool", "prompt", "pipeline", "sub_pipeline", "then", "switch", *LOOPS}
    if name in words.PLAIN_TYPES and not heads.isdisjoint(draft.table):
        draft.drop("type", "nothing: the other keys say it")
    return False


def _has_no_items(draft: Draft) -> bool:
    return not any(words.LOOP_KEYS.get(key, key) in ("for_each", "foreach", "loop_over") for key in draft.table)


def _loop_keys(draft: Draft) -> None:
    for old, new in words.LOOP_KEYS.items():
        if old in draft.table and old != "action_loop" and new not in draft.table:
            draft.rename(old, new)
    if "action_loop" in draft.table and "steps" not in draft.table:
        if "tool" in draft.table and "parameters" not in draft.table:
            draft.drop("tool", "the steps of the loop name their tools")
        draft.rename("action_loop", "steps")
        _in_order(draft)


def _in_order(draft: Draft) -> None:
    """What an `action_loop` or a sequence lists happens one after another."""
    listed = draft.value("steps")
    if isinstance(listed, Sequence) and len(listed.items) > 1 and "in_order" not in draft.table:
        draft.insert("in_order", text_at(listed, "true", True), before="steps")


def _named_steps(draft: Draft) -> None:
    """Give the steps of a body an id, if they have none: its name, or that of its action."""
    listed = draft.value("steps")
    if not isinstance(listed, Sequence):
        return
    written = [item.get("id") for item in listed.items if isinstance(item, Mapping)]
    taken = {id.text for id in written if isinstance(id, Scalar)}
    items: list[Node] = []
    for number, item in enumerate(listed.items, start=1):
        if not isinstance(item, Mapping) or "id" in item.table:
            items.append(item)
            continue
        source = next((item.get(key) for key in ("name", "action", "tool") if isinstance(item.get(key), Scalar)), None)
        text = source.text if isinstance(source, Scalar) and "<" not in source.text else ""
        name = _NAME.sub("_", text).strip("_").lower()[:40].rstrip("_")
        name = name if name and not name[0].isdigit() else f"step_{number}"
        while name in taken or name in _RESERVED:
            name = f"{name}_{number}"
        taken.add(name)
        draft.changes.add(item, "a step without an id", f"id: {name}")
        table = {"id": Entry(text_at(item, "id"), text_at(item, name)), **item.table}
        items.append(Mapping(table, item.start, item.end, item.layout))
    if any(new is not old for new, old in zip(items, listed.items, strict=True)):
        draft.set("steps", Sequence(items, listed.start, listed.end, listed.layout), listed)


_RESERVED: Final = frozenset(
    {"item", "index", "loop", "error", "step", "run", "inputs", "steps", "pipeline", "previous"}
)


def _branches(draft: Draft) -> None:
    """`if: x` with `then:` and `else:` is a `switch` with one case."""
    test = next((name for name in ("if", "condition", "when") if name in draft.table), None)
    yes = next((name for name in ("then", "if_true") if name in draft.table), None)
    no = next((name for name in ("else", "if_false") if name in draft.table), None)
    if test is None or yes is None or "switch" in draft.table:
        return
    entry, bodies = draft.table[test], [draft.value(name) for name in (yes, no) if name is not None]
    if not isinstance(entry.value, Scalar) or any(isinstance(body, Scalar) for body in bodies):
        return
    text = str(entry.value.value)
    if "<AUTO" in text or "{%" in text:
        return
    plain = one_expression(text)
    if plain is None:
        return
    expression = expression_of(text) or "".join(part for part, _, _ in plain)
    draft.rename(test, "switch")
    draft.set("switch", text_at(entry.value, f"{{{{ 'yes' if {expression.strip()} else 'no' }}}}"), entry.key)
    taken = draft.table[yes]
    draft.rename(yes, "cases")
    cases = Mapping(
        {"yes": Entry(text_at(taken.key, "yes"), taken.value)}, taken.value.start, taken.value.end, taken.value.layout
    )
    draft.set("cases", cases, taken.key)
    if no is not None:
        draft.rename(no, "default")


def _parallel_flag(draft: Draft) -> None:
    """`parallel: true` of a loop is its default; `false` means one item after another."""
    flag = draft.plain("parallel")
    if not isinstance(flag, bool) or "tools" in draft.table or "hand_over" in draft.table:
        return
    if str(draft.plain("action")) in ("agent", "model.agent"):
        return
    entry = draft.table["parallel"]
    if "for_each" in draft.table or "foreach" in draft.table or "loop_over" in draft.table:
        if flag:
            draft.drop("parallel", "nothing: the items of a loop run in parallel")
        elif "max_parallel" in draft.table:
            draft.drop("parallel", "max_parallel:")
        else:
            draft.rename("parallel", "max_parallel")
            draft.set("max_parallel", text_at(entry.value, "1", 1), entry.key)
    elif "steps" in draft.table and not any(key in draft.table for key in LOOPS):
        draft.drop("parallel", "parallel: [...]" if flag else "in_order: true")
        if flag:
            draft.table.pop("in_order", None)
            draft.rename("steps", "parallel")
        else:
            _in_order(draft)
    elif any(key in draft.table for key in ("action", "tool", "prompt", "pipeline")):
        draft.drop("parallel", "nothing: steps run as soon as those that they read have ended")


def _endless(draft: Draft) -> None:
    """`while: 'true'` with a limit ends normally at the limit."""
    value = draft.plain("while")
    always = value is True or (isinstance(value, str) and value.strip() in _ALWAYS)
    limited = "max_iterations" in draft.table or "max_loop_iterations" in draft.table
    if not always or not limited or "on_limit" in draft.table or "until" in draft.table:
        return
    key = draft.table["while"].key
    if isinstance(value, str):
        draft.set("while", text_at(draft.table["while"].value, "true", True), key)
    limit = next(name for name in ("max_iterations", "max_loop_iterations") if name in draft.table)
    draft.changes.add(key, "while: true", "while: true, with on_limit: continue")
    draft.insert("on_limit", text_at(key, "continue"), before=limit)
