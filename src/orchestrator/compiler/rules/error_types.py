"""Reports unknown error types in retries and error handlers."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from orchestrator import codes, errors
from orchestrator.compiler.ir.node_paths import child
from orchestrator.diagnostics import CODES, suggest
from orchestrator.language.values.templates import is_template
from orchestrator.language.yaml.nodes import Node, Scalar, Sequence

if TYPE_CHECKING:
    from orchestrator.compiler.ir.diagnostics import Diagnostics

_OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.StepError)}
_PYTHON = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}
_CODES = {code for code in CODES if code.startswith("ORC7")}
_WORDS = {
    "timeout": "StepTimeout",
    "permission": "PermissionDenied",
    "http": codes.HTTP_FAILED,
    "network": codes.HTTP_FAILED,
}


def check_retry(node: Node | None, diagnostics: Diagnostics, *, within: str = "") -> None:
    """Report unknown error names in `retry.on`. A tool's own exceptions are known only when it runs.

    `within` names what the policy belongs to if it is not a step: then its numbers must be constant.
    """
    check_error_names(child(node, "on"), diagnostics)
    for key in ("max_attempts", "delay") if within else ():
        value = child(node, key)
        if isinstance(value, Scalar) and is_template(value.value):
            diagnostics.add(
                codes.VALUE_NOT_ALLOWED,
                value.span,
                f"`{key}` of {within} must be constant: it is not computed",
                label="a template",
                help="write the number, or write the template in the `retry` of a step",
            )


def check_error_names(listed: Node | None, diagnostics: Diagnostics) -> None:
    """Report unknown error names in a list."""
    if not isinstance(listed, Sequence):
        return
    for item in listed.items:
        if not isinstance(item, Scalar) or not isinstance(item.value, str):
            continue
        name = item.value
        if name in _OURS | _PYTHON | _CODES:
            continue
        near = _WORDS.get(name.lower()) or suggest(name, sorted(_OURS | _PYTHON | _CODES))
        of_a_tool = name.isidentifier() and name[0].isupper() and not name.startswith("ORC")
        if of_a_tool and near is None:
            continue
        diagnostics.add(
            codes.VALUE_NOT_ALLOWED,
            item.span,
            f"unknown error type `{name}`",
            label="never raised",
            help=f"did you mean `{near}`?" if near else f"write an error code, or one of {', '.join(sorted(_OURS))}",
            severity="warning" if of_a_tool else "error",
            replacement=near,
        )
