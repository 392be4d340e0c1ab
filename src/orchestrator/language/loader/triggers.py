"""Reads the section `triggers` of a pipeline."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.language.aliases.canonical import mapping_at
from orchestrator.language.loader.validation import complete, is_null
from orchestrator.language.spec.triggers import TriggerSpec, WebhookSpec
from orchestrator.language.values.cron import cron_problem, zone_problem
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from orchestrator.language.loader.validation import Validation

_OF_SCHEDULES = ("timezone", "overlap", "catch_up", "jitter")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CRON_HELP = (
    "write minute, hour, day of the month, month and day of the week: `15 3 * * 1-5` is 03:15 from Monday to Friday"
)


def read_trigger_specs(checks: Validation, entry: Entry) -> tuple[dict[str, TriggerSpec] | None, Node]:
    """Read the triggers of a pipeline by name."""
    section = entry.value
    if is_null(section):
        return None, section
    if not isinstance(section, Mapping):
        checks.mistyped(entry, "a mapping by name", 'write `triggers: {nightly: {schedule: "15 3 * * *"}}`')
        return None, section
    specs, placed = {}, []
    for each in section.entries:
        name = each.key.text
        checks.name(each.key, name, "a trigger's name")
        if not isinstance(each.value, Mapping):
            checks.mistyped(each, 'a mapping such as `{schedule: "15 3 * * *"}` or `{webhook: HOOK_SECRET}`')
            continue
        spec = specs[name] = _read_trigger(checks, each.key, each.value, f"the trigger `{shorten(name)}`")
        placed.append(Entry(each.key, spec.node))
    return specs, section.replaced(placed)


def _read_trigger(checks: Validation, key: Scalar, node: Mapping, what: str) -> TriggerSpec:
    webhook, schedule = node.table.get("webhook"), node.table.get("schedule")
    if schedule is None and (cron := node.table.get("cron")) is not None:
        checks.add(
            codes.UNKNOWN_KEY,
            cron.key,
            f"{what} has no key `cron`",
            label="unknown key",
            help="write `schedule`",
            fix="schedule",
        )
        node = node.without(["cron"])
    elif schedule is not None and isinstance(schedule.value, Mapping):
        _report_mapping(checks, schedule, schedule.value)
        node = node.without(["schedule"])
    else:
        _check_kind(checks, key, node, what)
    spec = checks.spec(TriggerSpec, node.without(["webhook"]), what, node)
    _check_schedule(checks, spec, what)
    if webhook is None:
        return spec
    part, place = _read_webhook(checks, webhook, what)
    whole = spec.node.replaced([*spec.node.entries, Entry(webhook.key, place)])
    return complete(spec, whole, {"webhook": part} if part is not None else {})


def _report_mapping(checks: Validation, schedule: Entry, node: Mapping) -> None:
    """Report a schedule that is written as a mapping, as that of other tools is."""
    cron = node.get("cron")
    help, fix = f"a schedule is a cron expression; {_CRON_HELP}", None
    if isinstance(cron, Scalar) and isinstance(cron.value, str):
        others = [name for name in node.table if name in _OF_SCHEDULES]
        fix = json.dumps(cron.value) if len(node.table) == 1 else None
        help = f"write `schedule: {json.dumps(cron.value)}`"
        help += f", and {quoted_list(others, last='and')} next to it" if others else ""
    checks.mistyped(schedule, 'text such as `"15 3 * * *"`', help, fix)


def _check_kind(checks: Validation, key: Scalar, node: Mapping, what: str) -> None:
    """A trigger has a schedule or a webhook, and keys that belong to it."""
    schedule, webhook = node.table.get("schedule"), node.table.get("webhook")
    if schedule is None and webhook is None:
        if not checks.partial:
            checks.add(
                codes.MISSING_KEY,
                key,
                f"{what} has neither `schedule` nor `webhook`",
                label="never fires",
                help='add `schedule: "15 3 * * *"` or `webhook: HOOK_SECRET`',
            )
        return
    if schedule is not None and webhook is not None:
        checks.add(
            codes.CONFLICTING_KEYS,
            webhook.key,
            f"{what} has both `schedule` and `webhook`",
            label="and this?",
            help="declare two triggers; they can have the same inputs",
        )
    if schedule is None:
        for name in _OF_SCHEDULES:
            if name in node.table:
                checks.add(
                    codes.KEY_WITHOUT_EFFECT,
                    node.table[name].key,
                    f"`{name}` of {what} has no effect: it belongs to a `schedule`",
                    label="without effect",
                    help="remove it",
                )


def _check_schedule(checks: Validation, spec: TriggerSpec, what: str) -> None:
    place = spec.node.get("schedule")
    if place is not None and spec.schedule is not None and (reason := cron_problem(spec.schedule)):
        checks.add(
            codes.INVALID_SCHEDULE,
            place,
            f"`schedule` of {what} is not a cron expression: {reason}",
            label="not a schedule",
            help=_CRON_HELP,
        )
    place = spec.node.get("timezone")
    if place is not None and (reason := zone_problem(spec.timezone)):
        near = re.search(r"did you mean `(.*)`", reason)
        checks.add(
            codes.INVALID_SCHEDULE,
            place,
            f"`timezone` of {what}: {reason}",
            label="unknown time zone",
            help="write a name of the IANA database such as `Europe/Berlin`, or `UTC`",
            fix=near[1] if near else None,
        )


def _read_webhook(checks: Validation, entry: Entry, what: str) -> tuple[WebhookSpec | None, Node]:
    node = entry.value
    if isinstance(node, Scalar) and isinstance(node.value, str):
        node = mapping_at(node, secret=node)
    if not isinstance(node, Mapping):
        checks.mistyped(entry, "the name of an environment variable, or a mapping such as `{secret: HOOK_SECRET}`")
        return None, entry.value
    webhook = checks.spec(WebhookSpec, node, f"`webhook` of {what}")
    place = webhook.node.get("secret")
    if place is not None and webhook.secret and not _VARIABLE.match(webhook.secret):
        checks.add(
            codes.VALUE_NOT_ALLOWED,
            place,
            f"`secret` of {what} must be the name of an environment variable, not the secret itself: the file is "
            "stored with every run",
            label="not the name of a variable",
            help="put the secret into a variable of the server, and write the variable's name",
        )
    return webhook, webhook.node
