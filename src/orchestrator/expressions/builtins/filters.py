"""All filters: `value | name`."""

from __future__ import annotations

from orchestrator.expressions.builtins import (  # noqa: F401 - each registers its filters
    data_filters,
    list_filters,
    text_filters,
)
from orchestrator.expressions.builtins.builtin import FILTERS

__all__ = ["FILTERS"]

_by_name = sorted(FILTERS.items())
FILTERS.clear()
FILTERS.update(_by_name)
