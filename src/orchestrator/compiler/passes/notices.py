"""The notices of a file: their targets, the templates of their texts, and reminders that no one receives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.names import NOTICE
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import NameScope
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.diagnostics import suggest
from orchestrator.language.yaml.nodes import Mapping, Scalar, Sequence
from orchestrator.plan.notices import NoticePlan, NotifyPlan
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import PlacedTemplate
    from orchestrator.language.spec.notices import BudgetNoticeSpec, NoticeSpec
    from orchestrator.language.yaml.nodes import Node


_REMIND: Final = ("remind", "escalate")


def check_notices(context: CompilationContext) -> None:
    """Check the targets and the text of every notice, and keep the texts with the file."""
    _report_unsent_reminders(context)
    notify = context.spec.notify
    if notify is None or context.block is None:
        return
    scope = NameScope(context.block.scope.without("step"), {"notice": NOTICE})
    read: set[int] = set()
    for occasion in ("failed", "waiting", "budget"):
        spec: NoticeSpec | BudgetNoticeSpec | None = getattr(notify, occasion)
        if spec is None or id(spec.node) in read:
            continue
        read.add(id(spec.node))  # in the short form, one place is for all of them
        _check_targets(context, spec)
        _check_message(context, occasion, spec, scope)


def _check_targets(context: CompilationContext, spec: NoticeSpec | BudgetNoticeSpec) -> None:
    """Report unknown targets of a notice, where the configuration of the project is known."""
    known = context.session.notice_targets
    if known is None:
        return
    for node in _texts(child(spec.node, "to")):
        name = str(node.value)
        if name in known:
            continue
        near = suggest(name, tuple(known))
        help = f"add a table `[notify.{name}]` to orchestrator.toml"
        if near:
            help = f"did you mean `{near}`?"
        elif known:
            help = f"the targets are {quoted_list(sorted(known))}; for another one, {help}"
        context.diagnostics.add(
            codes.UNKNOWN_NOTICE_TARGET,
            node.span,
            f"unknown target `{shorten(name)}` of a notice",
            label="unknown target",
            help=help,
            replacement=near,
        )


def _report_unsent_reminders(context: CompilationContext) -> None:
    """Warn of questions with reminders if no one is notified of the questions of a run of the main file."""
    session = context.session
    if session.notice_targets is None or session.waiting_targets:
        return
    for step in context.steps:
        asked = step.spec.ask or step.spec.approve
        if asked is None or (asked.remind is None and asked.escalate is None):
            continue
        node = child(step.spec.node, "ask" if step.spec.ask is not None else "approve")
        place = next((node.key(key) for key in _REMIND if node.key(key)), None) if isinstance(node, Mapping) else None
        if place is not None:
            context.diagnostics.add(
                codes.UNSENT_REMINDER,
                place.span,
                f"no one is notified when `{place.text}` of `{step.id}` takes effect",
                label="no target for notices",
                help="add `notify: {waiting: TARGET}` at the top of the file, with a target of `[notify]` in "
                "orchestrator.toml",
            )


def _texts(node: Node | None) -> Iterator[Scalar]:
    for each in node.items if isinstance(node, Sequence) else [node]:
        if isinstance(each, Scalar) and isinstance(each.value, str):
            yield each


def _check_message(
    context: CompilationContext, occasion: str, spec: NoticeSpec | BudgetNoticeSpec, scope: NameScope
) -> None:
    node = child(spec.node, "message")
    if node is None:
        return
    places: list[PlacedTemplate] = []
    context.notice_messages[occasion] = context.value(node, scope, places)
    infer_types(context, places)
    for place in places:
        for reference in place.template.references:
            context.record_read(place, reference)


def plan_notices(context: CompilationContext) -> NotifyPlan:
    """Build the plan of the notices of a file without errors."""
    notify = context.spec.notify
    if notify is None:
        return NotifyPlan()

    def planned(occasion: str, spec: NoticeSpec | BudgetNoticeSpec | None) -> NoticePlan | None:
        return None if spec is None else NoticePlan(tuple(spec.to), context.notice_messages.get(occasion))

    budget = planned("budget", notify.budget)
    if budget is not None and notify.budget is not None:
        budget = NoticePlan(budget.to, budget.message, notify.budget.at_)
    return NotifyPlan(planned("failed", notify.failed), planned("waiting", notify.waiting), budget)
