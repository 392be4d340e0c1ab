"""What can be done about an error, as data: the command renders a shell line, Python a call, a server a link.

An error has a neutral `help` and `remedies`; a remedy names the thing to do and what it is done to, and never how it
is typed. Remedies are recorded with a run's errors as JSON, so they must hold no secrets.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct
from msgspec.structs import asdict

from orchestrator.distribution import install_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Remedy(Struct, frozen=True):
    """One thing that can be done. `label` introduces how it is done; `joint` connects it to a help text before it."""

    label: ClassVar[str]
    joint: ClassVar[str] = "; "

    @property
    def call(self) -> str:
        """The call in Python that does it; a shell line where Python has none."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the remedy as JSON data: its `kind`, and what it is done to."""
        return {"kind": _kind(type(self)), **{name: value for name, value in asdict(self).items() if value}}


class Resume(Remedy, frozen=True):
    """Resume a run: `edited` with an edited file, or with a larger `budget`, such as `2usd`."""

    run_id: str
    edited: bool = False
    budget: str = ""

    label = "continue with"

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

    @property
    def call(self) -> str:
        """The call in Python."""
        return f"orc.retry({_quoted(self.run_id)}, {_quoted(self.path)})"


class Answer(Remedy, frozen=True):
    """Answer the question that a step asks."""

    run_id: str
    path: str

    label = "answer with"

    @property
    def call(self) -> str:
        """The call in Python."""
        return f"orc.get_run({_quoted(self.run_id)}).answer({_quoted(self.path)}, ...)"


class ShowRun(Remedy, frozen=True):
    """Look at what a run achieved, step by step."""

    run_id: str

    label = "see its steps with"

    @property
    def call(self) -> str:
        """The call in Python."""
        return f"orc.get_run({_quoted(self.run_id)}).snapshot()"


class ShowStatus(Remedy, frozen=True):
    """Look at the status of a run, and who executes it."""

    run_id: str

    label = "see its status with"

    @property
    def call(self) -> str:
        """The call in Python."""
        return f"orc.get_run({_quoted(self.run_id)}).status()"


class Follow(Remedy, frozen=True):
    """Follow a run that is in progress."""

    run_id: str

    label = "follow it with"

    @property
    def call(self) -> str:
        """The call in Python."""
        return f"orc.get_run({_quoted(self.run_id)}).wait()"


class Cancel(Remedy, frozen=True):
    """Cancel a run."""

    run_id: str

    label = "cancel it with"
    joint = ", or "

    @property
    def call(self) -> str:
        """The call in Python."""
        return f"orc.get_run({_quoted(self.run_id)}).cancel()"


class ListRuns(Remedy, frozen=True):
    """List the runs of the store."""

    label = "list the runs with"

    @property
    def call(self) -> str:
        """The call in Python."""
        return "orc.list_runs()"


class StartRun(Remedy, frozen=True):
    """Start a run; `record`: the directory in which the answers of its models are recorded."""

    record: str = ""

    label = "start one with"

    @property
    def call(self) -> str:
        """The call in Python."""
        return "orc.compile(FILE).run()" if not self.record else _shell("run", "FILE", "--record", self.record)


class InstallExtra(Remedy, frozen=True):
    """Install an optional part of the package."""

    extra: str

    label = "install it with"

    @property
    def call(self) -> str:
        """The command that installs it."""
        return install_command(self.extra)


class StoreKey(Remedy, frozen=True):
    """Store the API key of a provider."""

    provider: str = "PROVIDER"

    label = "store the key with"
    joint = ", or "

    @property
    def call(self) -> str:
        """The command that stores it."""
        return _shell("keys", "set", self.provider)


class ListModels(Remedy, frozen=True):
    """List the models that are known, with what each can do."""

    label = "list the models with"

    @property
    def call(self) -> str:
        """The command that lists them."""
        return _shell("models")


class Allow(Remedy, frozen=True):
    """Permit what tools were refused. `option` is the option of the command that does it."""

    label = "with"
    joint = ", or "

    @property
    def option(self) -> str:
        """The option of the command, quoted for a shell."""
        raise NotImplementedError

    @property
    def _extended(self) -> str:
        raise NotImplementedError

    @property
    def call(self) -> str:
        """The orchestrator in Python that allows it."""
        return f"orc.Orchestrator(permissions=orc.Permissions.load().extended({self._extended}))"


class AllowPath(Allow, frozen=True):
    """Let tools use a path outside of the project's directory."""

    path: str

    @property
    def option(self) -> str:
        """The option of the command."""
        return shlex.join(["--allow-path", self.path])

    @property
    def _extended(self) -> str:
        return f"paths=[{_quoted(self.path)}]"


class AllowHost(Allow, frozen=True):
    """Let tools reach a host that is not public."""

    host: str

    @property
    def option(self) -> str:
        """The option of the command."""
        return shlex.join(["--allow-host", self.host])

    @property
    def _extended(self) -> str:
        return f"hosts=[{_quoted(self.host)}]"


class AllowCommands(Allow, frozen=True):
    """Let tools run commands."""

    @property
    def option(self) -> str:
        """The option of the command."""
        return "--allow-run"

    @property
    def _extended(self) -> str:
        return "run=True"


KINDS: tuple[type[Remedy], ...] = (
    Resume,
    RetryStep,
    Answer,
    ShowRun,
    ShowStatus,
    Follow,
    Cancel,
    ListRuns,
    StartRun,
    InstallExtra,
    StoreKey,
    ListModels,
    AllowPath,
    AllowHost,
    AllowCommands,
)


def remedies_from(data: Iterable[Mapping[str, Any]] | None) -> tuple[Remedy, ...]:
    """Return the remedies of a recorded error; those of an unknown kind are left out."""
    known = {_kind(each): each for each in KINDS}
    return tuple(
        known[each["kind"]](**{name: value for name, value in each.items() if name != "kind"})
        for each in data or ()
        if each.get("kind") in known
    )


def call_of(remedy: Remedy) -> str:
    """Return the call in Python that does it."""
    return remedy.call


def advice(help: str | None, remedies: Iterable[Remedy], render: Callable[[Remedy], str] = call_of) -> str:
    """Return a help text and remedies as one text; each remedy is rendered by `render`, by default for Python."""
    text = help or ""
    for remedy in remedies:
        text += (remedy.joint if text else "") + f"{remedy.label}: {render(remedy)}"
    return text


def _kind(remedy: type[Remedy]) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", remedy.__name__).lower()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _shell(*words: str) -> str:
    return shlex.join(["orchestrator", *words])
