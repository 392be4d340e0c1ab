"""`doctor`: whether this machine and directory are ready to run pipelines, and how to fix what is not."""

import enum
import os
import shlex
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer
from msgspec import Struct
from msgspec.structs import asdict

from orchestrator.cli.options import common
from orchestrator.cli.terminal.hints import advice_on
from orchestrator.config.project_file import CONFIGURATION_FILE, project_directory
from orchestrator.distribution import FOREIGN_NAME, NAME, install_command

if TYPE_CHECKING:
    from orchestrator.tools.sandbox.permissions import Permissions

DEFAULT_STORE: Final = Path(".orchestrator", "runs.db")
OLDEST_PYTHON: Final = (3, 11)
OLDEST_SQLITE: Final = (3, 35)
EXTRAS: Final = {
    "data": ("polars", "the `data` tool reads and transforms tables"),
    "server": ("fastapi", "`orchestrator serve` can share runs over HTTP"),
    "postgres": ("psycopg", "runs can be stored in PostgreSQL"),
}


class Verdict(enum.StrEnum):
    """How one check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class DoctorCheck(Struct, frozen=True):
    """One line: what was checked, the result, and the fix for a problem."""

    verdict: Verdict
    subject: str
    message: str
    fix: str = ""


def doctor(
    json: common.JsonOption = False,
    store: common.StoreOption = None,
    tools: common.ToolsOption = None,
) -> None:
    """Check that this machine and directory are ready.

    Checks Python, the store, extras, configuration, permissions, models, tools and the editor's schema.

    Exit code: 0 all checks passed (warnings allowed), 1 a check failed.
    """
    from orchestrator.cli.terminal.output import DONE, FAILED, emit, emit_json, paint

    findings = list(examine(store, tools))
    ok = not any(finding.verdict is Verdict.FAIL for finding in findings)
    if json:
        emit_json({"ok": ok, "findings": [asdict(finding) for finding in findings]})
    else:
        styles = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}
        for finding in findings:
            verdict = paint(f"{finding.verdict:<4}", styles[finding.verdict], stream=sys.stdout)
            emit(f"{verdict}  {finding.subject}: {finding.message}")
            if finding.fix:
                emit(f"      fix: {finding.fix}")
    raise typer.Exit(DONE if ok else FAILED)


def examine(store: str | None, tools: list[str] | None) -> Iterator[DoctorCheck]:
    """Run all checks; a failure does not stop the others."""
    yield _python()
    yield from _foreign_package()
    yield _sqlite()
    yield _yaml()
    configured, permissions = _configuration()
    yield from _store(store, permissions)
    for extra, (module, use) in EXTRAS.items():
        yield _extra(extra, module, use)
    yield from configured
    yield from _models()
    yield from _tools(tools, permissions)
    yield _editor()


def _python() -> DoctorCheck:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return DoctorCheck(Verdict.FAIL, "Python", f"{version} is too old", "install Python 3.11 or newer")
    return DoctorCheck(Verdict.OK, "Python", version)


def _foreign_package() -> Iterator[DoctorCheck]:
    """Another package installs into the same import name; the two overwrite each other's files."""
    try:
        found = distribution(FOREIGN_NAME)
    except PackageNotFoundError:
        return
    yield DoctorCheck(
        Verdict.WARN,
        "package",
        f"`{FOREIGN_NAME}` {found.version}, an unrelated package, is installed next to `{NAME}` and shares its "
        "import name",
        f"pip uninstall {FOREIGN_NAME} && pip install --force-reinstall --no-deps {NAME}",
    )


def _sqlite() -> DoctorCheck:
    import sqlite3

    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        return DoctorCheck(
            Verdict.FAIL,
            "SQLite",
            f"{sqlite3.sqlite_version} is too old",
            "use a Python built with SQLite 3.35 or newer",
        )
    return DoctorCheck(Verdict.OK, "SQLite", sqlite3.sqlite_version)


def _yaml() -> DoctorCheck:
    import yaml

    if not yaml.__with_libyaml__:
        return DoctorCheck(
            Verdict.WARN,
            "YAML reader",
            "the compiled reader is missing, so large files are read ten times more slowly",
            "pip install --force-reinstall pyyaml",
        )
    return DoctorCheck(Verdict.OK, "YAML reader", "compiled")


def _store(url: str | None, permissions: "Permissions") -> Iterator[DoctorCheck]:
    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.errors import OrchestratorError

    url = url or _configured_store()
    path = _sqlite_path(url)
    if path is not None and not path.exists():
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield DoctorCheck(Verdict.OK, "store", f"{path} will be made by the first run")
        else:
            fix = f"make {parent} writable, or name another store with --store or ORCHESTRATOR_STORE"
            yield DoctorCheck(Verdict.FAIL, "store", f"{path} cannot be created: {parent} is not writable", fix)
        return
    try:
        with Orchestrator(store=url, permissions=permissions) as orchestrator:
            newest = orchestrator.list_runs(limit=1)
    except OrchestratorError as error:
        fix = advice_on(error) or "name another store with --store or ORCHESTRATOR_STORE"
        yield DoctorCheck(Verdict.FAIL, "store", error.message, fix)
        return
    where = str(path) if path is not None else (url or "").split("@")[-1]
    if path is not None and not (os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)):
        yield DoctorCheck(
            Verdict.FAIL, "store", f"{path} can be read but not written", f"chmod u+w {path.parent} {path}"
        )
        return
    newest_words = f"; the newest run is {newest[0].run_id}, {newest[0].state}" if newest else "; it has no runs yet"
    yield DoctorCheck(Verdict.OK, "store", f"{where} can be read and written{newest_words}")
    if path is not None and os.name == "posix" and path.stat().st_mode & 0o077:
        files = shlex.join(str(each) for each in sorted(path.parent.glob(f"{path.name}*")))
        yield DoctorCheck(
            Verdict.WARN, "store", f"{path} can be opened by other users of this machine", f"chmod 600 {files}"
        )


def _configured_store() -> str | None:
    """Return the store that orchestrator.toml names; problems of that file are reported elsewhere."""
    from orchestrator.api.settings import ProjectSettings
    from orchestrator.errors import ConfigurationError

    try:
        return ProjectSettings.load(project_directory()).store
    except ConfigurationError:
        return None


def _sqlite_path(url: str | None) -> Path | None:
    if url is None:
        return Path(os.path.relpath(_project() / DEFAULT_STORE))
    prefix = "sqlite:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None


def _extra(extra: str, module: str, use: str) -> DoctorCheck:
    if find_spec(module) is None:
        return DoctorCheck(Verdict.WARN, f"extra {extra}", f"not installed; with it, {use}", install_command(extra))
    return DoctorCheck(Verdict.OK, f"extra {extra}", "installed")


def _configuration() -> tuple[list[DoctorCheck], "Permissions"]:
    """Return the findings, and the permissions for the other checks: none if the file is invalid."""
    from orchestrator.api.settings import check_settings
    from orchestrator.errors import OrchestratorError
    from orchestrator.tools.sandbox.permissions import Permissions

    name = CONFIGURATION_FILE
    try:
        project = project_directory()
        check_settings(project)
        permissions = Permissions.load(project)
    except OrchestratorError as error:
        return [DoctorCheck(Verdict.FAIL, name, error.message, advice_on(error) or f"fix {name}")], Permissions(
            Path.cwd()
        )
    allowed = [f"files below {', '.join(str(path) for path in (project, *permissions.allow_paths))}"]
    run = permissions.allow_run
    if run:
        allowed.append(f"running {', '.join(run)}" if isinstance(run, tuple) else "running programs")
    if permissions.allow_hosts:
        allowed.append(f"the private hosts {', '.join(permissions.allow_hosts)}")
    return [
        DoctorCheck(Verdict.OK, name, _valid(project) if (project / name).exists() else "not there, and not needed"),
        DoctorCheck(Verdict.OK, "permissions", f"tools may use {'; '.join(allowed)}"),
    ], permissions


def _project() -> Path:
    from orchestrator.errors import ConfigurationError

    try:
        return project_directory()
    except ConfigurationError:
        return Path.cwd()


def _valid(project: Path) -> str:
    return "valid" if project == Path.cwd() else f"valid, in {project}"


def _models() -> Iterator[DoctorCheck]:
    """Check which providers can be used. Problems of orchestrator.toml are reported elsewhere."""
    from orchestrator.errors import ConfigurationError
    from orchestrator.forecast.model_choices import missing_access
    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.catalog.keys import Keys
    from orchestrator.models.catalog.providers import PROVIDERS
    from orchestrator.models.clients.endpoints import missing_extra
    from orchestrator.models.selection.default_model import no_model, ollama_is_running

    try:
        catalogue = Catalogue.load(project_directory())
    except ConfigurationError:
        return
    try:
        keys = Keys.load()
        known = [each for each in catalogue.providers.values() if each.key_variables or each.name not in PROVIDERS]
        lacks = {each.name: missing_access(each, keys) for each in known}
    except ConfigurationError as error:
        yield DoctorCheck(Verdict.FAIL, "models", error.message, advice_on(error))
        return
    for each in known:
        if lacks[each.name] == "no extra" and (missing := missing_extra(each)) is not None:
            yield DoctorCheck(Verdict.WARN, "models", missing.message, advice_on(missing))
    ready = [name for name, lacking in lacks.items() if not lacking]
    if ready:
        yield DoctorCheck(Verdict.OK, "models", f"{', '.join(ready)} can be used")
    elif not any(lacking == "no extra" for lacking in lacks.values()):
        if ollama_is_running(catalogue, keys):
            yield DoctorCheck(Verdict.OK, "models", "Ollama is running, and answers for `auto`")
        else:
            found = no_model("no model is available: no API key of a provider is set, and Ollama is not running")
            yield DoctorCheck(Verdict.WARN, "models", found.message, advice_on(found))


def _tools(tools: list[str] | None, permissions: "Permissions") -> Iterator[DoctorCheck]:
    """Check which tools there are. Problems of orchestrator.toml are reported elsewhere."""
    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.config.setting_errors import InvalidSettings
    from orchestrator.errors import OrchestratorError

    try:
        with Orchestrator(tools=tools or (), permissions=permissions) as orchestrator:
            names = orchestrator.registry.names()
    except InvalidSettings:
        return
    except OrchestratorError as error:
        yield DoctorCheck(Verdict.FAIL, "tools", error.message, advice_on(error) or "fix the module, or omit --tools")
        return
    yield DoctorCheck(Verdict.OK, "tools", ", ".join(sorted(names)))


def _editor() -> DoctorCheck:
    schema = Path("pipeline.schema.json")
    if not schema.exists():
        return DoctorCheck(
            Verdict.WARN,
            "editor",
            "without a schema your editor cannot complete and explain the keys of pipelines",
            f"orchestrator schema > {schema}, and put "
            f"`# yaml-language-server: $schema={schema}` into the first line of a pipeline",
        )
    return DoctorCheck(Verdict.OK, "editor", f"{schema} is there")
