"""The table of what steps keep from one run to another."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, setting


class MemoryTable(SettingsTable):
    """What steps may keep in the memory. A namespace that ends in `*` stands for all that begin with it."""

    elsewhere: ClassVar = {
        **dict.fromkeys(("allow", "allowed", "namespace", "scopes"), "namespaces"),
        **dict.fromkeys(("readonly", "protected"), "read_only"),
        **dict.fromkeys(("max_entries", "keys", "limit", "max_items"), "max_keys"),
        **dict.fromkeys(("max_bytes", "max_size", "value_size"), "max_value"),
        **dict.fromkeys(("expires", "keep", "expire_after", "retention"), "ttl"),
        **dict.fromkeys(("name", "scope", "tenant"), "project"),
    }

    namespaces: kinds.Texts | None = setting(
        '["notes", "user/*"]', "the only namespaces that steps may use; by default all"
    )
    read_only: kinds.Texts = setting('["facts"]', "namespaces that steps can read and not change", ())
    max_keys: kinds.Whole | None = setting("1_000", "the maximum number of keys of a namespace; by default 10,000")
    max_value: kinds.Whole | None = setting(
        "20_000", "the maximum size of a value, in bytes of its JSON; by default 100,000"
    )
    ttl: kinds.PositiveDuration | None = setting(
        '"90d"', "how long a value is kept that a step writes without `ttl`; by default until it is deleted"
    )
    project: kinds.Text | None = setting(
        '"shop"', "keeps the memory apart from that of other projects that share the store"
    )


class MemorySection(Section):
    """Memory."""

    memory: MemoryTable = Field(default_factory=MemoryTable)
