"""What a shell completes: runs, steps, files, codes and names, for `orchestrator` and for `orc`."""

import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin

import typer
from typer.models import ArgumentInfo, ParameterInfo

if TYPE_CHECKING:
    from orchestrator.api.interfaces import AnyRun

PROGRAMS: Final = ("orchestrator", "orc")
"""The names of the command; completion is installed for both."""

INSTALLING: Final = ("--install-completion", "--show-completion")

Words = Iterable[tuple[str, str]]
"""Possible words at a position of the command line, each with a description."""

_MOST_RUNS: Final = 50
_MOST_FILES: Final = 200
_MOST_STEPS: Final = 500
_CHOICES: Final = re.compile(r"\[([\w|-]+)\]")
_ENDINGS: Final = (".yaml", ".yml")
_STATES: Final[dict[str, frozenset[str]]] = {
    "answer": frozenset({"waiting"}),
    "pause": frozenset({"queued", "running", "waiting"}),
    "cancel": frozenset({"queued", "running", "waiting", "paused", "interrupted"}),
    "resume": frozenset({"queued", "waiting", "paused", "failed", "cancelled", "interrupted"}),
}
"""The states of the runs that a command is for; for the others any."""


def requested() -> bool:
    """Whether a shell requests completions, so that nothing is run."""
    return any(f"_{program.upper()}_COMPLETE" in os.environ for program in PROGRAMS)


def program(path: str) -> str:
    """Return the name under which the command was started, which is that of its completion too."""
    name = Path(path).stem
    return name if name in PROGRAMS else PROGRAMS[0]


def attach(function: Callable[..., Any]) -> None:
    """Let the arguments and options of a command be completed, by what they are called in its help."""
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        for info in get_args(parameter.annotation)[1:] if get_origin(parameter.annotation) is Annotated else ():
            if isinstance(info, ParameterInfo):
                info.autocompletion = _completer(info)


def _completer(info: ParameterInfo) -> Callable[..., Any]:
    """Return what Typer asks: the words that begin with what was typed. Without any, the shell completes files."""
    metavar = info.metavar or ""
    choices = _CHOICES.fullmatch(metavar)
    is_argument = isinstance(info, ArgumentInfo)

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        with suppress(Exception):  # completion must never show an error
            if choices is not None:
                return [(word, "") for word in choices[1].split("|") if word.startswith(incomplete)]
            command = ctx.command.name or ""  # several commands share an argument
            find = _BY_METAVAR.get((command, metavar)) or _BY_METAVAR.get(("", metavar))
            if metavar in ("FILE", "PATH") and is_argument and command in _PIPELINES:
                find = _pipelines
            if find is not None:
                given = dict(ctx.params)
                if ctx.args:  # after an option without its value, arguments are not assigned to parameters
                    given |= {name: ctx.args[0] for name in ("run", "file") if name in given and not given[name]}
                words = find(command, given, incomplete)
                return [(word, " ".join(about.split())[:80]) for word, about in words if word.startswith(incomplete)]
        return []

    return complete


def _runs(command: str, given: dict[str, Any], incomplete: str) -> Words:
    """The newest runs, those that the command is for first of all, and `last`."""
    from orchestrator.cli.options.place import Place

    with Place(given.get("store"), given.get("server")).open() as orchestrator:
        found = orchestrator.list_runs(limit=_MOST_RUNS)
    wanted = [status for status in found if status.state in _STATES.get(command, (status.state,))]
    if found:
        yield "last", "the newest run"
    for status in wanted or found:
        yield status.run_id, f"{status.name or status.pipeline}, {status.state}"


def _steps(command: str, given: dict[str, Any], incomplete: str) -> Words:
    """The steps of the run that stands before them, or of the file."""
    from orchestrator.cli.options.place import Place

    with Place(given.get("store"), given.get("server")).open() as orchestrator:
        if given.get("run") is not None:
            run = orchestrator.get_run(given["run"])
            return list(_of_run(command, run))
        if given.get("file") is not None:
            return [(step["id"], "") for step in _plan_of_file(Path(given["file"]))]
    return []


def _of_run(command: str, run: "AnyRun") -> Iterator[tuple[str, str]]:
    if command == "answer":
        yield from ((step.path, step.waiting_on) for step in run.status().active if step.question is not None)
        return
    if command == "fork":
        yield from ((step["id"], step.get("tool") or "") for step in run.record().plan["steps"])
        return
    for number, (path, step) in enumerate(run.snapshot().steps.items()):
        if number < _MOST_STEPS:
            yield path, step.state


def _plan_of_file(file: Path) -> list[dict[str, Any]]:
    from orchestrator.cli.options import common
    from orchestrator.models.clients.fake import FakeModel

    with common.open_orchestrator(models=FakeModel(otherwise="fail")) as orchestrator:
        steps: list[dict[str, Any]] = orchestrator.compile(file).to_dict()["steps"]
    return steps


def _pipelines(command: str, given: dict[str, Any], incomplete: str) -> Words:
    """The YAML files whose path begins so, at any depth. Without one, the shell completes the path itself."""
    if incomplete.startswith(("/", "~", "..")):
        return
    directory = incomplete.rpartition("/")[0] or "."
    count = 0
    for place, directories, names in os.walk(directory):
        directories[:] = sorted(name for name in directories if not name.startswith(".") and name != "node_modules")
        for name in sorted(names):
            if name.endswith(_ENDINGS) and not name.startswith("."):
                path = Path(place, name).as_posix()
                count += 1
                yield (f"./{path}" if incomplete.startswith("./") else path), ""
        if count >= _MOST_FILES:
            return


def _codes(command: str, given: dict[str, Any], incomplete: str) -> Words:
    from orchestrator.diagnostics import CODES

    return [(code, entry.title) for code, entry in CODES.items()]


def _tools(command: str, given: dict[str, Any], incomplete: str) -> Words:
    from orchestrator.cli.options import common

    with common.open_orchestrator(tools=given.get("tools")) as orchestrator:
        for tool in orchestrator.registry:
            yield tool.name, tool.description
            for action in tool.actions.values() if "." in incomplete else ():
                yield f"{tool.name}.{action.name}", action.description


def _filters(command: str, given: dict[str, Any], incomplete: str) -> Words:
    from orchestrator.expressions.builtins.reference_page import SECTIONS

    return {name: entry.summary for section in reversed(SECTIONS) for name, entry in section.table.items()}.items()


def _providers(command: str, given: dict[str, Any], incomplete: str) -> Words:
    from orchestrator.models.catalog.entries import Catalogue

    return [(name, provider.title) for name, provider in Catalogue.load().providers.items()]


def _pipelines_and_runs(command: str, given: dict[str, Any], incomplete: str) -> Words:
    yield from _pipelines(command, given, incomplete)
    yield from _runs(command, given, incomplete)


_PIPELINES: Final = frozenset({"run", "check", "graph", "lock", "map"})
"""The commands whose file is a pipeline."""

_BY_METAVAR: Final[dict[tuple[str, str], Callable[[str, dict[str, Any], str], Words]]] = {
    ("", "RUN"): _runs,
    ("", "FILE|RUN"): _pipelines_and_runs,
    ("", "STEP"): _steps,
    ("show", "PATH"): _steps,
    ("retry", "PATH"): _steps,
    ("", "CODE"): _codes,
    ("tools", "NAME"): _tools,
    ("filters", "NAME"): _filters,
    ("models", "NAME"): _providers,
    ("", "PROVIDER"): _providers,
    ("models", "FILE"): _pipelines,
    ("resume", "FILE"): _pipelines,
}
"""What stands at an argument or option, by the command (any if it is empty) and by its name in the help."""
