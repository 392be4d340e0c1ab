"""The tools and permissions that a run was started with, and those that a process that resumes it lacks."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator import codes
from orchestrator.api.settings import ProjectSettings, located
from orchestrator.errors import RunNotResumable
from orchestrator.remedies import GrantAgain, Replay
from orchestrator.text.words import quoted_list
from orchestrator.tools.sandbox.permissions import Permissions

if TYPE_CHECKING:
    from orchestrator.journal import RunRecord
    from orchestrator.models.messages import ModelClient


class Origin(Struct, frozen=True):
    """What a run was started with.

    `tools` can be loaded again by their names; `sources` are the files of those that were given as objects. `paths` are
    the directories and files that its tools could use; relative paths start in the first. `replay` is the directory of
    the recordings that replaced models; a run may be resumed without it.
    """

    tools: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    run: bool | tuple[str, ...] = False
    hosts: tuple[str, ...] = ()
    replay: str | None = None

    @classmethod
    def here(cls, tools: Iterable[Any], permissions: Permissions, *, models: ModelClient | None = None) -> Origin:
        """Describe what a process has: `tools` as they were given, by name or as objects."""
        names = [each for each in tools if isinstance(each, str)]
        objects = [each for each in tools if not isinstance(each, str)]
        return cls(
            tools=tuple(dict.fromkeys(located(name, Path.cwd()) for name in names)),
            sources=tuple(dict.fromkeys(source for each in objects if (source := _source(each)) is not None)),
            paths=tuple(str(path) for path in permissions.roots),
            run=permissions.allow_run,
            hosts=permissions.allow_hosts,
            replay=_replayed(models),
        )

    @classmethod
    def of(cls, record: RunRecord) -> Origin | None:
        """Read it from a run's record; None where the record has none."""
        data = record.options.get("origin")
        if not isinstance(data, Mapping):
            return None
        run = data.get("run", False)
        return cls(
            tools=tuple(data.get("tools", ())),
            sources=tuple(data.get("sources", ())),
            paths=tuple(data.get("paths", ())),
            run=run if isinstance(run, bool) else tuple(run),
            hosts=tuple(data.get("hosts", ())),
            replay=data.get("replay"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data, for the run's record."""
        run = self.run if isinstance(self.run, bool) else list(self.run)
        data = {"tools": list(self.tools), "sources": list(self.sources), "paths": list(self.paths)}
        replay = {} if self.replay is None else {"replay": self.replay}
        return {**data, "run": run, "hosts": list(self.hosts), **replay}

    def loadable(self, project: Path) -> tuple[str, ...]:
        """The tools that may be loaded without permission: modules, and files of the project."""
        home = os.path.realpath(project)
        return tuple(
            name
            for name in self.tools
            if not _is_file(name) or Path(os.path.realpath(_file(name))).is_relative_to(home)
        )

    def lacking(self, permissions: Permissions, *, tools: Sequence[str], project: Path) -> Origin:
        """Return what is missing where `permissions` and `tools` are given."""
        given = {located(name, Path.cwd()) for name in tools}
        asked = set(self.tools) - set(self.loadable(project)) - given
        return Origin(
            tools=tuple(name for name in self.tools if name in asked),
            paths=tuple(path for path in self.paths if Path(path).exists() and not _allows(permissions, Path(path))),
            run=_lacking_run(self.run, permissions.allow_run),
            hosts=tuple(host for host in self.hosts if host not in permissions.allow_hosts),
            replay=self.replay,
        )

    def words(self) -> list[str]:
        """Return the words of a command line that give this."""
        return [*self.remedy.words, *(() if self.replay is None else Replay(self.replay).words)]

    @property
    def remedy(self) -> GrantAgain:
        """What gives the tools and permissions."""
        return GrantAgain(self.tools, self.paths, self.hosts, bool(self.run))

    @property
    def granted(self) -> bool:
        """Whether it permits anything."""
        return bool(self.paths or self.run or self.hosts)

    def __bool__(self) -> bool:
        return bool(self.tools) or self.granted


def refuse_lacking(run_id: str, lacking: Origin) -> None:
    """Raise an error if anything is missing.

    Raises:
        RunNotResumable: ORC818.
    """
    if not lacking:
        return
    names = [f"the tools of {quoted_list(lacking.tools)}"] if lacking.tools else []
    names += [f"access to {quoted_list((*lacking.paths, *lacking.hosts))}"] if lacking.paths or lacking.hosts else []
    names += ["permission to run commands"] if lacking.run else []
    lasting = "allow it" if lacking.granted else "list them under `tools`"
    raise RunNotResumable(
        f"run `{run_id}` was started with {' and '.join(names)}, which must be granted again",
        run_id=run_id,
        code=codes.OPTIONS_REQUIRED_AGAIN,
        help=f"{lasting} in orchestrator.toml",
        remedies=[lacking.remedy],
    )


def words_lacking(record: RunRecord, directory: Path) -> tuple[str, ...]:
    """Return the options of a command line that a run was started with, beyond what its project permits."""
    origin = Origin.of(record)
    if origin is None:
        return ()
    settings = ProjectSettings.load(directory)
    lacking = origin.lacking(Permissions.load(directory), tools=settings.tools, project=directory)
    return tuple(lacking.words())


def _replayed(models: ModelClient | None) -> str | None:
    """Return the directory whose recordings answer."""
    if models is None:
        return None
    from orchestrator.models.recordings.clients import ReplayClient

    return str(models.directory.absolute()) if isinstance(models, ReplayClient) else None


def _lacking_run(wanted: bool | tuple[str, ...], given: bool | tuple[str, ...]) -> bool | tuple[str, ...]:
    if given is True or wanted is False:
        return False
    if wanted is True:
        return True
    allowed = given or ()
    return tuple(name for name in wanted if name not in allowed) or False


def _allows(permissions: Permissions, path: Path) -> bool:
    return any(path.is_relative_to(root) for root in permissions.roots)


def _is_file(name: str) -> bool:
    return str(_file(name)).endswith(".py")


def _file(name: str) -> Path:
    return Path(name.rpartition(":")[0] if ":" in name[2:] else name)


def _source(item: Any) -> str | None:
    """The file in which a tool that was given as an object is written."""
    try:
        return inspect.getsourcefile(inspect.unwrap(item) if callable(item) and not isinstance(item, type) else item)
    except (TypeError, OSError):
        try:
            return inspect.getsourcefile(type(item))
        except (TypeError, OSError):
            return None
