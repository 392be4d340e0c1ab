"""The table of all filters: `value | name`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.expressions.builtins.data_filters import DATA_FILTERS
from orchestrator.expressions.builtins.list_filters import LIST_FILTERS
from orchestrator.expressions.builtins.text_filters import TEXT_FILTERS

if TYPE_CHECKING:
    from orchestrator.expressions.builtins.table import Entry

FILTERS: Final[dict[str, Entry]] = dict(sorted({**TEXT_FILTERS, **LIST_FILTERS, **DATA_FILTERS}.items()))
