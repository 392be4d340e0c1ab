"""What the columns of a table are like: types, nulls, different values, statistics, frequent values.

A column may have values of several kinds, which a profile is there to find: nothing here requires one kind. Importing
this module loads Polars.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from hashlib import blake2b
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from orchestrator.tools.tables.cell_values import TYPES, cut, read_moment, shown_value, value_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.tools.tables.results import ColumnProfile, Row, TableProfile

_CELL: Final = 40
"""How many characters of a value a cell of the Markdown table has."""


def profile_table(
    rows: list[Row],
    columns: Sequence[str],
    *,
    quantiles: Sequence[float],
    most_frequent: int,
    progress: Callable[[float, str], None],
) -> TableProfile:
    """Return the profile of these columns of a table, in time linear in its cells but for a sort of numbers."""
    found: list[ColumnProfile] = []
    for number, name in enumerate(columns):
        progress(number / len(columns), name)
        found.append(_column_profile(name, [row.get(name) for row in rows], quantiles, most_frequent))
    distinct = len({_digest([row.get(name) for name in columns]) for row in rows})
    return {
        "profile": found,
        "columns": list(columns),
        "count": len(rows),
        "duplicates": len(rows) - distinct,
        "text": _markdown(found),
    }


def _digest(values: list[Any]) -> bytes:
    return blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).digest()


def _column_profile(name: str, values: list[Any], quantiles: Sequence[float], most_frequent: int) -> ColumnProfile:
    given = [value for value in values if value is not None]
    kinds = {TYPES.get(kind, "object"): count for kind, count in Counter(map(type, given)).items()}
    counts = Counter(map(value_key, given))
    type_ = _column_type(kinds, counts)
    numbers = _statistics(given, quantiles) if type_ in ("integer", "number") else _NO_STATISTICS
    least, most = _extremes(given, type_)
    lengths = [len(value) for value in given if isinstance(value, str | list)]
    return {
        "column": name,
        "type": type_,
        "types": kinds,
        "count": len(given),
        "nulls": len(values) - len(given),
        "distinct": len(counts),
        "minimum": least,
        "maximum": most,
        "mean": numbers[0],
        "standard_deviation": numbers[1],
        "quantiles": numbers[2],
        "min_length": min(lengths, default=None),
        "max_length": max(lengths, default=None),
        "most_frequent": [
            {"value": shown_value(_value_of(key)), "count": count} for key, count in counts.most_common(most_frequent)
        ],
    }


def _column_type(kinds: dict[str, int], counts: Counter[Any]) -> str:
    match sorted(kinds):
        case []:
            return "null"
        case ["string"]:
            return next((each for each in ("date", "datetime") if _all_are(counts, each)), "string")
        case [kind]:
            return kind
        case ["integer", "number"]:
            return "number"
        case _:
            return "mixed"


def _all_are(texts: Counter[Any], type_: str) -> bool:
    """Whether all texts are dates, or times that can be compared with each other."""
    try:
        moments = [read_moment(text, type_) for text in texts]
    except ValueError:
        return False
    return len({moment.tzinfo is None for moment in moments if isinstance(moment, datetime)}) < 2


_NO_STATISTICS: Final[tuple[float | None, float | None, dict[str, float]]] = (None, None, {})


def _statistics(
    values: list[int | float], quantiles: Sequence[float]
) -> tuple[float | None, float | None, dict[str, float]]:
    """Return mean, standard deviation and quantiles, between two values by linear interpolation."""
    try:
        series = pl.Series([float(value) for value in values], dtype=pl.Float64)
    except OverflowError:  # an integer that no 64-bit number holds
        return _NO_STATISTICS
    asked = pl.DataFrame({"x": series}).select(
        mean=pl.col("x").mean(),
        deviation=pl.col("x").std(),
        **{f"q{number}": pl.col("x").quantile(each, "linear") for number, each in enumerate(quantiles)},
    )
    mean, deviation, *found = (_finite(value) for value in asked.row(0))
    named = zip(quantiles, found, strict=True)
    return mean, deviation, {f"p{round(each * 100, 10):g}": value for each, value in named if value is not None}


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < float("inf") else None


def _extremes(values: list[Any], type_: str) -> tuple[Any, Any]:
    if type_ in ("integer", "number"):
        return min(values), max(values)
    if type_ in ("date", "datetime"):
        moments = [(read_moment(text, type_), text) for text in set(values)]
        return min(moments, key=itemgetter(0))[1], max(moments, key=itemgetter(0))[1]
    if type_ == "string":
        return shown_value(min(values)), shown_value(max(values))
    return None, None


def _value_of(key: Any) -> Any:
    match key:
        case (text, "json"):
            return json.loads(text)
        case (value,):
            return value
        case _:
            return key


def _markdown(profiles: list[ColumnProfile]) -> str:
    heads = ("column", "type", "values", "nulls", "distinct", "minimum", "maximum", "mean", "most frequent")
    lines = [heads, ("---",) * len(heads), *map(_cells, profiles)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(profile: ColumnProfile) -> tuple[str, ...]:
    frequent = [f"{_cell(each['value'])} ({each['count']:,})" for each in profile["most_frequent"][:3]]
    return (
        _cell(profile["column"]),
        profile["type"],
        *(f"{count:,}" for count in (profile["count"], profile["nulls"], profile["distinct"])),
        *(_cell(each) for each in (profile["minimum"], profile["maximum"], profile["mean"])),
        ", ".join(frequent),
    )


def _cell(value: Any) -> str:
    """Return a value as a cell of a Markdown table, in which nothing is markup."""
    match value:
        case None:
            return ""
        case float():
            text = f"{value:.6g}"
        case str():
            text = value
        case _:
            text = json.dumps(value, ensure_ascii=False)
    text = cut(" ".join(text.split()), _CELL)
    for sign in "\\|`*_[]<>&":
        text = text.replace(sign, f"\\{sign}")
    return text
