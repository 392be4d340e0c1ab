"""A random sample of rows, the same for the same seed on every machine: all of them, or a share of each stratum."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from orchestrator.tools.tables.cell_values import value_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.tools.tables.results import Row


def sample_indexes(
    rows: list[Row], by: Sequence[str], *, n: int | None, fraction: float | None, replace: bool, seed: int
) -> list[int]:
    """Return the indexes of the rows of a sample, in order, in time linear in the number of rows.

    Of each stratum (the rows with the same values in `by`) a number in proportion to its size is drawn: `n` of all rows
    are distributed by the largest remainders, and a `fraction` of a stratum is rounded.
    """
    random = Random(seed)  # noqa: S311 - a sample, and no secret
    strata: dict[Any, list[int]] = {}
    for index, row in enumerate(rows):
        strata.setdefault(tuple(value_key(row.get(name)) for name in by), []).append(index)
    sizes = [len(stratum) for stratum in strata.values()]
    if n is not None and not replace:
        n = min(n, len(rows))
    quotas = _quotas(sizes, n) if n is not None else [int(size * (fraction or 0) + 0.5) for size in sizes]
    chosen: list[int] = []
    for stratum, quota in zip(strata.values(), quotas, strict=True):
        if replace:
            chosen += random.choices(stratum, k=quota)
        else:
            chosen += random.sample(stratum, min(quota, len(stratum)))
    return sorted(chosen)


def _quotas(sizes: list[int], n: int) -> list[int]:
    """Distribute `n` over strata in proportion to their sizes, by the largest remainders."""
    total = sum(sizes)
    if not total:
        return []
    quotas = [n * size // total for size in sizes]
    remainders = sorted(range(len(sizes)), key=lambda index: (-(n * sizes[index] % total), index))
    for index in remainders[: n - sum(quotas)]:
        quotas[index] += 1
    return quotas
