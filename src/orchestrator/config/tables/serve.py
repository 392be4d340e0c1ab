"""The table of `orchestrator serve`."""

from __future__ import annotations

from pydantic import Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, setting
from orchestrator.config.tables.oidc import OidcTable


class ServeTable(SettingsTable):
    """How `orchestrator serve` shares runs: its address, the pipelines that it offers, and who may reach it."""

    host: kinds.Text = setting('"127.0.0.1"', "the address to listen at; by default only this machine", "127.0.0.1")
    port: kinds.Port = setting("8420", "the port", 8420)
    pipelines: kinds.Texts = setting(
        '["pipelines"]',
        "directories, with those below them, whose pipelines are offered, except what is in `outputs`; by default "
        "the one of this file",
        (".",),
    )
    url: kinds.Url | None = setting(
        '"https://runs.example.com"', "its address in browsers, for links in notices; by default that of `[serve.oidc]`"
    )
    protect_pipelines: kinds.Flag = setting(
        "false",
        "`false` if steps may write pipelines into these directories, which the server then offers and whose triggers "
        "fire",
        True,
    )
    names: kinds.Texts = setting(
        '["runs.example.com"]',
        "the names and addresses under which clients reach it; requests for others are refused. By default the host, "
        "and the names of this machine's loopback address",
        (),
    )
    origins: kinds.Texts = setting(
        '["https://tools.example.com"]', "other sites whose pages may use it from a browser; by default none", ()
    )
    proxies: kinds.Texts = setting(
        '["10.0.0.1"]', "addresses of the proxies in front of it, whose `X-Forwarded-` headers are believed", ()
    )
    outputs: kinds.Texts = setting(
        '["output", "/srv/reports"]',
        "directories of which files that runs wrote can be listed and downloaded, with the scope `read`",
        ("output",),
    )
    open_metrics: kinds.Flag = setting(
        "true", "`/metrics` needs no token for programs on this machine; do not use it behind a proxy", False
    )
    max_runs: kinds.Whole = setting("64", "how many runs it executes at once; further ones are refused", 256)
    max_parallel: kinds.Whole = setting(
        "64",
        "how many steps of all runs execute at once; of runs that wait, those with a higher priority come first, then "
        "those with fewer steps at work",
        256,
    )
    max_connections: kinds.Whole = setting(
        "500",
        "how many connections it has at once, one or two for each browser; further ones are refused with status 503. "
        "There are fewer where the system allows the process too few open files",
        2_000,
    )
    triggers: kinds.Flag = setting(
        "false", "`false` if it fires no triggers, such as on the machine of a developer, as `--no-triggers`", True
    )
    drain: kinds.Duration = setting(
        '"30s"', "how long it waits for runs to end when it is stopped; then they are interrupted", 30.0
    )

    groups: dict[str, kinds.Texts] = Field(
        default_factory=dict,
        description="the members of each group that a question can name in `assignee` and `escalate`, by the names of "
        "their tokens and logins; the name of a group is not that of a person",
        examples=['{finance = ["ada", "grace"]}'],
    )
    oidc: OidcTable | None = Field(default=None, description="logging in with an identity provider")


class ServeSection(Section):
    """The server."""

    serve: ServeTable = Field(default_factory=ServeTable)
