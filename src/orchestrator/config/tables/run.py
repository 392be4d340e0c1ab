"""The settings that every command reads: the store, the tools, permissions and the defaults of runs."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, SpendingTable, setting


class RunBudgetTable(SpendingTable):
    """What each run may spend, as `--budget`."""


class RunTable(SettingsTable):
    """Defaults of the options of runs that are started."""

    elsewhere: ClassVar = dict.fromkeys(
        ("parallel", "concurrency", "max_concurrency", "workers", "jobs"), "max_parallel"
    )

    max_parallel: kinds.Whole | None = setting("8", "how many steps of a run are executed at once, as `--max-parallel`")
    timeout: kinds.PositiveDuration | None = setting('"30m"', "how long a run may take, as `--timeout`")
    cache: kinds.Flag = setting("false", "`false` to neither read nor write the cache, as `--no-cache`", True)
    max_result: kinds.Whole | None = setting(
        "200_000_000", "the maximum size of a step's result, in characters; by default 100,000,000"
    )
    max_told: kinds.Whole | None = setting(
        "50_000", "how many characters of a result the model of an agent receives; by default 20,000"
    )
    budget: RunBudgetTable = Field(default_factory=RunBudgetTable)


class MapTable(SettingsTable):
    """How `orchestrator map` runs a pipeline for each row of a file."""

    elsewhere: ClassVar = RunTable.elsewhere

    max_parallel: kinds.Whole | None = setting(
        "16", "how many rows run at once, as `map --max-parallel`; by default 16"
    )


class RunSection(Section):
    """The settings above the tables, and those of runs."""

    store: kinds.Text | None = setting(
        '"sqlite:///data/runs.db"', "the database of runs, as `--store`; a path is relative to this file"
    )
    tools: kinds.Texts = setting(
        '["lib/tools.py"]', "custom tools, as `--tools`: modules, or files relative to this file", ()
    )
    run: RunTable = Field(default_factory=RunTable)
    map: MapTable = Field(default_factory=MapTable)


class AllowTable(SettingsTable):
    """What the tools of all runs may do, in addition to the `--allow-...` options of a run."""

    elsewhere: ClassVar = {
        **dict.fromkeys(("directories", "folders", "files", "read", "write"), "paths"),
        **dict.fromkeys(("commands", "programs", "shell", "terminal"), "run"),
        **dict.fromkeys(("network", "domains", "urls"), "hosts"),
    }

    paths: kinds.Texts = setting('["shared"]', "directories and files, relative to this file or absolute", ())
    run: kinds.Commands = setting('["git", "make"]', "programs; `true` for all of them, and for shell commands", False)
    hosts: kinds.Hosts = setting('["db.internal:5432"]', "private hosts: names, `host:port`, addresses or networks", ())


class PermissionSection(Section):
    """The permissions of tools."""

    allow: AllowTable = Field(default_factory=AllowTable)
