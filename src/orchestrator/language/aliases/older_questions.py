"""Questions and approvals of the older dialect, and its lists of questions as questions by name."""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec.structs import replace

from orchestrator.language.aliases.older_call import OlderCall, named
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

_QUESTION: Final = {
    **named("prompt", "message", "question", "text", "title"),
    **named("choices", "options"),
    **named("type", "input_type", "response_type"),
    **named("default", "default_value"),
    **named("pattern", "validation_pattern", "validation_regex"),
    **named("minimum", "min_value"),
    **named("maximum", "max_value", "scale"),
    **named("assignee", "assigned_to", "respondents"),
}
_WHERE: Final = ("cli", "gui", "web", "api", "terminal", "console", "interactive", "auto")
"""Where the older tools ask a person; here, all ways are open."""
_ANSWER: Final = named("", "value", "response", "answer", "input", "user_input", "choice", "selection", "selected")
ASKED: Final = OlderCall(
    "ask",
    (
        "",
        "prompt",
        "ask",
        "ask_user",
        "input",
        "collect",
        "request",
        "confirm",
        "choice",
        "execute",
        "collect_feedback",
    ),
    parameters=_QUESTION,
    results=_ANSWER,
    ignored={"required": (True,), "type": ("choice", "select", "multiline", "any"), "context": _WHERE},
    words={
        "type": {
            **dict.fromkeys(("confirm", "confirmation", "yes_no", "yesno"), ("type", "boolean")),
            **dict.fromkeys(("rating", "scale", "stars"), ("type", "integer")),
        },
    },
    without_effect={
        "multiline": "an answer of `type: string` can have several lines",
        "required": "a question without an answer has its `default`, when the `timeout` of the step has passed",
        **dict.fromkeys(("retry_on_invalid", "max_attempts", "max_retries"), "a wrong answer is asked for again"),
        "anonymous": "the journal says who answered if the server knows it",
        **dict.fromkeys(("save_to_file", "save_path", "output_file"), "write the answers in a step of its own"),
    },
    told=dict.fromkeys(("context", "description", "help_text", "hint", "instructions"), "prompt"),
    instead={
        "questions": "write each with a name: `questions: {score: {prompt: ..., type: integer}, name: ...}`",
    },
)
FEEDBACK: Final = replace(
    ASKED,
    results=named("", "responses", "answers", "feedback", "value", "response", "answer", "data"),
    computed={"rating": "STEP", "score": "STEP", "summary": "(STEP | to_json)", "collected": "true"},
)
APPROVED: Final = OlderCall(
    "approve",
    ("execute", "", "approve", "request", "request_approval", "review", "prompt", "gate"),
    parameters={
        **named("title", "message", "prompt", "question"),
        **named("content", "data", "details", "description", "context", "items"),
        **named("allow_editing", "allow_modifications", "allow_edit", "allow_modification", "editable"),
        **named("default", "auto_approve_on_timeout"),
        **named("assignee", "approvers", "approver", "reviewers", "reviewer", "assigned_to"),
    },
    results={
        **named("comment", "reason", "feedback", "comments", "rejection_reason"),
        **named("content", "modified_content", "approved_content", "final_content"),
    },
    computed={
        **dict.fromkeys(("approval_status", "outcome"), "('approved' if STEP.approved else 'rejected')"),
        "decision": "('approved' if STEP.approved else 'rejected')",
        "rejected": "(not STEP.approved)",
    },
    ignored={
        "require_reason": (False,),
        "require_comment": (False,),
        "format": ("text", "markdown", "json", "html", "yaml"),
        "content": _WHERE,
        "auto_approve": (False,),
    },
    words={
        "timeout_action": {
            **dict.fromkeys(("reject", "deny", "rejected"), ("default", False)),
            **dict.fromkeys(("approve", "accept", "approved"), ("default", True)),
        },
    },
    without_effect={
        **dict.fromkeys(("require_reason", "require_comment"), "the person who decides can always write a comment"),
        **dict.fromkeys(("show_diff", "highlight", "urgency", "priority"), "the content is shown as it is"),
    },
    instead={
        "options": "remove it: an approval has the answers yes and no; for others, write `ask: {choices: [...]}`",
    },
)

_TYPES: Final[dict[str, dict[str, Any]]] = {
    **{key: {"type": "boolean"} for key in ("boolean", "bool", "yes_no", "confirm", "thumbs")},
    **{key: {"type": "number"} for key in ("number", "float", "numeric")},
    "integer": {"type": "integer"},
    **{key: {"type": "array"} for key in ("multi_choice", "multiple_choice", "multi_select", "checkbox")},
}
_NAMES: Final = ("id", "name", "key")
_PROMPTS: Final = ("text", "question", "prompt", "label", "message")
_CHOICES: Final = ("choices", "options")
_KEPT: Final = {"default": "default", "default_value": "default", "min": "minimum", "max": "maximum"}
_NOTES: Final = frozenset(
    {"required", "type", "scale", "help", "description", "allow_comments", "min_label", "max_label"}
)


def questions_by_name(value: Node) -> Mapping | None:
    """Return a list of questions as a mapping by name; None for other forms."""
    if not isinstance(value, Sequence):
        return value if isinstance(value, Mapping) else None
    table: dict[str, Entry] = {}
    for number, item in enumerate(value.items, start=1):
        made = _question(item, number)
        if made is None or made[0].text in table:
            return None
        table[made[0].text] = Entry(*made)
    return Mapping(table, value.start, value.end, value.layout)


def _question(item: Node, number: int) -> tuple[Scalar, Node] | None:
    if isinstance(item, Scalar):
        return text_at(item, f"question_{number}"), item
    if not isinstance(item, Mapping):
        return None
    parts = {key.replace("-", "_"): entry for key, entry in item.table.items()}
    prompt = next((parts[key] for key in _PROMPTS if key in parts), None)
    named_ = next((parts[key].value for key in _NAMES if key in parts), None)
    known = {*_NAMES, *_PROMPTS, *_CHOICES, *_KEPT, *_NOTES}
    if prompt is None or parts.keys() - known or not (named_ is None or isinstance(named_, Scalar)):
        return None
    name = re.sub(r"\W+", "_", named_.text).strip("_") if isinstance(named_, Scalar) else f"question_{number}"
    table = {"prompt": Entry(text_at(prompt.key, "prompt"), prompt.value)}
    kind = parts["type"].value if "type" in parts else None
    word = kind.text.lower().replace("-", "_") if isinstance(kind, Scalar) else ""
    choices = next((parts[key] for key in _CHOICES if key in parts), None)
    if word in ("rating", "scale", "stars", "score"):
        scale = parts["scale"].value if "scale" in parts else None
        top = scale.value if isinstance(scale, Scalar) and isinstance(scale.value, int) else 5
        for key, number_ in (("minimum", 1), ("maximum", top)):
            table[key] = Entry(text_at(item, key), text_at(item, str(number_), number_))
        table["type"] = Entry(text_at(item, "type"), text_at(item, "integer"))
    elif word in _TYPES:
        for key, meant in _TYPES[word].items():
            table[key] = Entry(text_at(item, key), text_at(item, str(meant), meant))
    if choices is not None:
        if word in ("multi_choice", "multiple_choice", "multi_select", "checkbox"):
            one = Mapping({"enum": Entry(text_at(item, "enum"), choices.value)}, item.start, item.end, item.layout)
            table["items"] = Entry(text_at(item, "items"), one)
        else:
            table["choices"] = Entry(text_at(choices.key, "choices"), choices.value)
    for key, meant in _KEPT.items():
        if key in parts:
            table[meant] = Entry(text_at(parts[key].key, meant), parts[key].value)
    return text_at(item, name), Mapping(table, item.start, item.end, item.layout)
