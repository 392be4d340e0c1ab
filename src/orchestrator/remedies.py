"""What can be done about an error, as data: the command renders a shell line, Python a call, a server a link.

An error or a diagnostic has a neutral `help` and `remedies`; a remedy names the thing to do and what it is done to.
Remedies are recorded with a run's errors as JSON, so they must hold no secrets.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct, convert
from msgspec.structs import asdict

from orchestrator.distribution import install_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Remedy(Struct, frozen=True):
    """One thing that can be done; the fields of a kind say what it is done to.

    `label` introduces how it is done, and `joint` connects it to a help text before it. `command` has the words of a
    command after `orchestrator`, or options for the command that was given; `python` is a call. Fields are inserted at
    `{name}`.
    """

    label: ClassVar[str] = ""
    joint: ClassVar[str] = "; "
    command: ClassVar[str] = ""
    python: ClassVar[str] = ""

    @property
    def introduction(self) -> str:
        """The words before how it is done."""
        return self.label.format_map(asdict(self))

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a command after `orchestrator`, or its options; empty if another program does it."""
        return tuple(word.format_map(asdict(self)) for word in self.command.split())

    @property
    def is_option(self) -> bool:
        """Whether it is done by options of the command that was given."""
        return any(word.startswith("-") for word in self.words[:1])

    @property
    def shell(self) -> str:
        """How it is done in a shell."""
        return shlex.join(self.words if self.is_option else ["orchestrator", *self.words])

    @property
    def call(self) -> str:
        """The call in Python that does it; how it is done in a shell if Python has none."""
        if not self.python:
            return self.shell
        return self.python.format_map({name: _quoted(value) for name, value in asdict(self).items()})

    def to_dict(self) -> dict[str, Any]:
        """Return the remedy as JSON data: its `kind`, and what it is done to."""
        given = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {"kind": _kind(type(self)), **{name: value for name, value in given.items() if value}}


# --- runs


class Resume(Remedy, frozen=True):
    """Resume a run: `edited` with an edited file, or with a larger `budget`, such as `2usd`."""

    run_id: str
    edited: bool = False
    budget: str = ""

    label = "continue with"

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the command."""
        edited = ("--with", "FILE") if self.edited else ()
        return ("resume", self.run_id, *edited, *(("--budget", self.budget) if self.budget else ()))

    @property
    def call(self) -> str:
        """The call in Python."""
        options = ', pipeline="FILE"' if self.edited else ""
        if limit := re.fullmatch(r"([\d.]+)([a-z]+)", self.budget):
            options += f", budget=orc.Budget({limit[2]}={limit[1]})"
        return f"orc.resume({_quoted(self.run_id)}{options})"


class RetryStep(Remedy, frozen=True):
    """Run a step of a run again, with all that depends on it."""

    run_id: str
    path: str

    label = "run it again with"
    command = "retry {run_id} --step {path}"
    python = "orc.retry({run_id}, {path})"


class Answer(Remedy, frozen=True):
    """Answer the question that a step asks."""

    run_id: str
    path: str

    label = "answer with"
    command = "answer {run_id} {path} VALUE"
    python = "orc.get_run({run_id}).answer({path}, ...)"


class ShowRun(Remedy, frozen=True):
    """Look at what a run achieved, step by step."""

    run_id: str

    label = "see its steps with"
    command = "show {run_id}"
    python = "orc.get_run({run_id}).snapshot()"


class ShowStatus(Remedy, frozen=True):
    """Look at the status of a run, and who executes it."""

    run_id: str

    label = "see its status with"
    command = "status {run_id}"
    python = "orc.get_run({run_id}).status()"


class Follow(Remedy, frozen=True):
    """Follow a run that is in progress."""

    run_id: str

    label = "follow it with"
    command = "status {run_id} --watch"
    python = "orc.get_run({run_id}).wait()"


class Cancel(Remedy, frozen=True):
    """Cancel a run."""

    run_id: str

    label = "cancel it with"
    joint = ", or "
    command = "cancel {run_id}"
    python = "orc.get_run({run_id}).cancel()"


class ListRuns(Remedy, frozen=True):
    """List the runs of the store."""

    label = "list the runs with"
    command = "runs"
    python = "orc.list_runs()"


class StartRun(Remedy, frozen=True):
    """Start a run; `record`: the directory in which the answers of its models are recorded."""

    record: str = ""

    @property
    def introduction(self) -> str:
        """The words before how it is done."""
        return "record with" if self.record else "start one with"

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the command."""
        return ("run", "FILE", *(("--record", self.record) if self.record else ()))

    @property
    def call(self) -> str:
        """The call in Python."""
        if self.record:
            return f"orc.Orchestrator(models=orchestrator.testing.record({_quoted(self.record)}))"
        return "orc.compile(FILE).run()"


class GiveInput(Remedy, frozen=True):
    """Give an input of a run: `again` to one that exists. `variable` is an environment variable that may hold it."""

    name: str
    again: bool = False
    variable: str = ""

    command = "--input {name}=..."

    @property
    def introduction(self) -> str:
        """The words before how it is done."""
        return (f"set ${self.variable}, or " if self.variable else "") + f"give `{self.name}` with"

    @property
    def call(self) -> str:
        """The argument in Python."""
        pair = f"{{{_quoted(self.name)}: ...}}"
        return f"inputs={pair}" if self.again else f"{self.name}=..." if self.name.isidentifier() else pair


# --- files


class WriteExample(Remedy, frozen=True):
    """Write an example of a pipeline."""

    label = "write an example with"
    command = "init"


class ListProblems(Remedy, frozen=True):
    """List every diagnostic of a file."""

    file: str

    label = "list all with"
    command = "check {file} --json"
    python = "orc.check({file}).diagnostics"


class RunFile(Remedy, frozen=True):
    """Run the pipeline in a file."""

    file: str

    label = "run it with"
    command = "run {file}"
    python = "orc.compile({file}).run()"


class RunTests(Remedy, frozen=True):
    """Run the cases of a test file."""

    file: str

    label = "run its cases with"
    command = "test {file}"


class ImportPipeline(Remedy, frozen=True):
    """Write a file of another dialect in the canonical form."""

    file: str

    label = "import it with"
    command = "import {file} --from py-orc"


class UpdateLock(Remedy, frozen=True):
    """Update the lock of a pipeline file."""

    file: str

    label = "update the lock with"
    command = "lock {file}"
    python = "orc.Orchestrator().lock({file})"


class UpdateTest(Remedy, frozen=True):
    """Make the recordings of a test file again."""

    file: str

    label = "record again with"
    command = "test {file} --update"


class RecordAgain(Remedy, frozen=True):
    """Make recordings again, with a command that a program of the user names."""

    line: str

    label = "record again with"

    @property
    def shell(self) -> str:
        """The command as it was given."""
        return self.line


class Replay(Remedy, frozen=True):
    """Answer from recordings instead of calling models."""

    directory: str = "DIR"

    label = "replay recorded answers with"
    joint = ", or "
    command = "--replay {directory}"
    python = "orc.Orchestrator(models=orchestrator.testing.replay({directory}))"


class RunInPlace(Remedy, frozen=True):
    """Run the cases of test files in the project's directory, not in copies of it."""

    label = "run them in the folder itself with"
    command = "--in-place"
    python = "orchestrator.testing.Setting(in_place=True)"


# --- the installation


class InstallExtra(Remedy, frozen=True):
    """Install an optional part of the package."""

    extra: str

    label = "install it with"

    @property
    def shell(self) -> str:
        """The command that installs it."""
        return install_command(self.extra)


class StoreKey(Remedy, frozen=True):
    """Store the API key of a provider."""

    provider: str = "PROVIDER"

    label = "store the key with"
    joint = ", or "
    command = "keys set {provider}"


class AddToken(Remedy, frozen=True):
    """Make a token for a server."""

    label = "make one, on the machine of the server, with"
    command = "tokens add NAME"


class ListSessions(Remedy, frozen=True):
    """List the browsers that are logged in to a server."""

    label = "list those who are with"
    command = "sessions list"


class TakeFreePort(Remedy, frozen=True):
    """Have a server take a port that is free."""

    label = "take a free port with"
    joint = ", or "
    command = "--port 0"


class ListTriggers(Remedy, frozen=True):
    """List the triggers of the pipelines that a server offers."""

    label = "list the triggers with"
    command = "triggers list"


class ListTools(Remedy, frozen=True):
    """List the tools, with what each does."""

    label = "list the tools with"
    command = "tools"


class AddTools(Remedy, frozen=True):
    """Add custom tools."""

    label = "add custom tools with"
    command = "--tools MODULE"
    python = "orc.Orchestrator(tools=[...])"


class ListFilters(Remedy, frozen=True):
    """List what templates can call."""

    label = "list all filters, tests and functions with"
    command = "filters"


class ListModels(Remedy, frozen=True):
    """List the models that are known, with what each can do; only those with a `capability` if it is given."""

    capability: str = ""

    label = "list the models with"

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the command."""
        return ("models", *(("--capability", self.capability) if self.capability else ()))


# --- permissions


class AllowPath(Remedy, frozen=True):
    """Let tools use a path outside of the project's directory."""

    path: str

    label = "with"
    joint = ", or "
    command = "--allow-path {path}"
    python = "orc.Orchestrator(permissions=orc.Permissions.load().extended(paths=[{path}]))"


class AllowHost(Remedy, frozen=True):
    """Let tools reach a host that is not public."""

    host: str

    label = "with"
    joint = ", or "
    command = "--allow-host {host}"
    python = "orc.Orchestrator(permissions=orc.Permissions.load().extended(hosts=[{host}]))"


class AllowCommands(Remedy, frozen=True):
    """Let tools run commands."""

    label = "with"
    joint = ", or "
    command = "--allow-run"
    python = "orc.Orchestrator(permissions=orc.Permissions.load().extended(run=True))"


class GrantAgain(Remedy, frozen=True):
    """Give a run again the tools and the permissions that it was started with."""

    tools: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    run: bool = False

    label = "grant it again with"
    joint = ", or "

    @property
    def words(self) -> tuple[str, ...]:
        """The options of the command."""
        given = {"--tools": self.tools, "--allow-path": self.paths, "--allow-host": self.hosts}
        words = [word for option, values in given.items() for value in values for word in (option, value)]
        return (*words, *["--allow-run"] * self.run)

    @property
    def call(self) -> str:
        """The orchestrator in Python that has them."""
        given = {"paths": self.paths, "hosts": self.hosts}
        extended = [f"{name}={_quoted(values)}" for name, values in given.items() if values]
        extended += ["run=True"] * self.run
        parts = [f"tools={_quoted(self.tools)}"] if self.tools else []
        if extended:
            parts.append(f"permissions=orc.Permissions.load().extended({', '.join(extended)})")
        return f"orc.Orchestrator({', '.join(parts)})"


def _kind(remedy: type[Remedy]) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", remedy.__name__).lower()


KINDS = {_kind(each): each for each in Remedy.__subclasses__()}
"""The kinds of remedies, by their names in JSON."""


def remedies_from(data: Iterable[Mapping[str, Any]] | None) -> tuple[Remedy, ...]:
    """Return the remedies of a recorded error; those of an unknown kind are left out."""
    return tuple(convert(each, kind) for each in data or () if (kind := KINDS.get(each.get("kind", ""))) is not None)


def call_of(remedy: Remedy) -> str:
    """Return the call in Python that does it."""
    return remedy.call


def advice(help: str | None, remedies: Iterable[Remedy], render: Callable[[Remedy], str] = call_of) -> str:
    """Return a help text and remedies as one text; each remedy is rendered by `render`, by default for Python."""
    text = help or ""
    for remedy in remedies:
        text += (remedy.joint if text else "") + f"{remedy.introduction}: {render(remedy)}"
    return text


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
