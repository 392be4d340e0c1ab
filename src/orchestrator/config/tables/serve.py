"""The table of `orchestrator serve`."""

from __future__ import annotations

from pydantic import Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, setting


class ServeTable(SettingsTable):
    """How `orchestrator serve` shares runs: its address, the pipelines that it offers, and who may reach it."""

    host: kinds.Text = setting('"127.0.0.1"', "the address to listen at; by default only this machine", "127.0.0.1")
    port: kinds.Port = setting("8420", "the port", 8420)
    pipelines: kinds.Texts = setting(
        '["pipelines"]',
        "directories, with those below them, whose pipelines are offered; by default the one of this file",
        (".",),
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
    max_runs: kinds.Whole = setting("64", "how many runs it executes at once; further ones are refused", 256)
    drain: kinds.Duration = setting(
        '"30s"', "how long it waits for runs to end when it is stopped; then they are interrupted", 30.0
    )


class ServeSection(Section):
    """The server."""

    serve: ServeTable = Field(default_factory=ServeTable)
