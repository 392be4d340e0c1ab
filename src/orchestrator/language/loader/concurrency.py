"""Reads the section `concurrency` of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.canonical import mapping_at, numbers_as_text, rename_keys
from orchestrator.language.aliases.tables import CONCURRENCY_KEYS
from orchestrator.language.loader.validation import is_null
from orchestrator.language.spec.concurrency import ConcurrencySpec
from orchestrator.language.yaml.nodes import Mapping, Scalar

if TYPE_CHECKING:
    from orchestrator.language.loader.validation import Validation
    from orchestrator.language.yaml.nodes import Entry, Node

_EXPECTED: Final = 'a number of runs, a key, or a mapping such as `{key: "{{ customer }}", max: 3}`'


def read_concurrency_spec(checks: Validation, entry: Entry) -> tuple[ConcurrencySpec | None, Node]:
    """Read how many runs may be executed at once: a mapping, the number alone, or the key alone."""
    section = entry.value
    if is_null(section):
        return None, section
    if isinstance(section, Scalar) and type(section.value) in (int, str):
        section = mapping_at(section, **{"max" if type(section.value) is int else "key": section})
    if not isinstance(section, Mapping):
        checks.mistyped(entry, _EXPECTED)
        return None, section
    node = checks.canonical(rename_keys(section, CONCURRENCY_KEYS), "`concurrency`")
    spec = checks.spec(ConcurrencySpec, numbers_as_text(node, ("key",)), "`concurrency`")
    return spec, spec.node
