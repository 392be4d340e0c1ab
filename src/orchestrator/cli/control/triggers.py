"""`triggers`: what starts runs by itself while a server runs."""

import enum
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place
from orchestrator.cli.options.usage_errors import choice_metavar, choice_parser

if TYPE_CHECKING:
    from orchestrator.api.interfaces import AnyOrchestrator
    from orchestrator.cli.control.trigger_places import TriggerPlace
    from orchestrator.client.client import Client


class TriggerAction(enum.StrEnum):
    """What `triggers` does."""

    LIST = "list"
    SHOW = "show"
    PAUSE = "pause"
    RESUME = "resume"
    FIRE = "fire"


@with_groups
def triggers(
    action: Annotated[
        TriggerAction,
        typer.Argument(
            metavar=choice_metavar(TriggerAction),
            parser=choice_parser("orchestrator triggers", TriggerAction),
            help="What to do.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(metavar="TRIGGER", help="A pipeline and its trigger, such as `report/nightly`."),
    ] = None,
    input: common.InputOption = None,
    inputs: common.InputsOption = None,
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """List, pause, resume or fire the triggers of a project.

    They are declared below `triggers:` of a pipeline, and fire while `orchestrator serve` runs. `fire` takes inputs
    that replace those of the trigger; the server starts the run at once, even if the trigger is paused.
    """
    from orchestrator.cli.options.inputs import read_inputs
    from orchestrator.cli.terminal.output import emit, emit_json

    with place.open() as orchestrator:
        found = _place(orchestrator)
        if action is TriggerAction.LIST:
            _list(found, as_json=json)
            return
        id = _required(name, action)
        match action:
            case TriggerAction.PAUSE:
                changed, done = found.pause(id), f"paused the trigger `{id}`"
            case TriggerAction.RESUME:
                changed, done = found.resume(id), f"resumed the trigger `{id}`"
            case TriggerAction.FIRE:
                changed = found.fire(id, read_inputs(found.inputs(id), input or (), inputs))
                done = f"run {changed['run_id']} will be started by the next free server"
            case _:
                _show(found.one(id), as_json=json)
                return
        if json:
            emit_json(changed)
        else:
            emit(done)


def _place(orchestrator: "AnyOrchestrator") -> "TriggerPlace":
    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.cli.control.trigger_places import ServerTriggers, StoreTriggers

    if isinstance(orchestrator, Orchestrator):
        return StoreTriggers(orchestrator)
    return ServerTriggers(cast("Client", orchestrator))


def _required(name: str | None, action: TriggerAction) -> str:
    from orchestrator.errors import ConfigurationError

    if name is None:
        raise ConfigurationError(
            f"`orchestrator triggers {action}` needs a trigger",
            help=f"write for example `orchestrator triggers {action} report/nightly`",
        )
    return name


def _list(place: "TriggerPlace", *, as_json: bool) -> None:
    from orchestrator.cli.terminal.output import emit, emit_json, say, table

    found, broken = place.all(), place.broken()
    if as_json:
        emit_json(found)
    elif found:
        rows = [(each["id"], _occasion(each), _next(each), _last(each)) for each in found]
        emit(table(("TRIGGER", "ON", "NEXT", "LAST"), rows))
    else:
        say("no triggers; declare them below `triggers:` of a pipeline")
    for name in broken:
        say(f"the triggers of `{name}` do not fire: it has errors, see `orchestrator check`", "yellow")


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    from orchestrator.cli.terminal.output import emit, emit_json, moment, table

    if as_json:
        emit_json(found)
        return
    emit(f"{found['id']}: {_occasion(found)}")
    if found["paused_at"] is not None:
        emit(f"paused by {found['paused_by']} at {moment(found['paused_at'])}")
    for at in found["next"]:
        emit(f"next: {moment(at)}")
    if found["firings"]:
        rows = [
            (
                moment(each["instant"]),
                each["state"],
                each["run_id"] if not each["reason"] else each["reason"],
                each["by"],
            )
            for each in found["firings"]
        ]
        emit(table(("FOR", "FIRING", "RUN", "BY"), rows))


def _occasion(found: dict[str, Any]) -> str:
    declared = found["declaration"]
    if found["kind"] == "schedule":
        return f"schedule {declared['schedule']} {declared['timezone']}"
    return f"webhook, {declared['webhook']['signature']}"


def _next(found: dict[str, Any]) -> str:
    from orchestrator.cli.terminal.output import moment

    if found["paused_at"] is not None:
        return "paused"
    if not found["ready"]:
        return f"{found['declaration']['webhook']['secret']} is not set"
    return moment(found["next"][0]) if found["next"] else "-"


def _last(found: dict[str, Any]) -> str:
    from orchestrator.cli.terminal.output import moment

    if not found["firings"]:
        return "-"
    last = found["firings"][0]
    return f"{moment(last['instant'])} {last['run_id'] if last['state'] == 'started' else last['state']}"
