"""The results as tables in Markdown, which read well in a terminal too."""

from collections.abc import Iterator, Sequence
from typing import Any


def markdown(results: dict[str, Any]) -> str:
    """Return all tables."""
    parts = []
    if results["jobs"]:
        parts.append(_table(_JOBS, [row for job in results["jobs"].values() for row in _job_rows(job)]))
    if sizes := [found for name, found in results.get("alone", {}).items() if name not in SEPARATE]:
        parts.append(_table(_SIZES, [_size_row(found) for each in sizes for found in each]))
    if contended := [found for name in ("contended", "prune") for found in results.get("alone", {}).get(name, ())]:
        parts.append(_table(_CONTENDED, [_contended_row(found) for found in contended]))
    if ordered := results.get("alone", {}).get("workflows"):
        parts.append(_table(_ORDERED, [_ordered_row(found) for found in ordered]))
    if results["compile"]:
        parts.append(_table(_COMPILE, list(_compile_rows(results["compile"]))))
    if results["import"]:
        rows = [(name, _milliseconds(found["seconds"])) for name, found in results["import"].items()]
        parts.append(_table(("import", "time"), rows))
    return "\n\n".join(parts)


SEPARATE = ("contended", "prune", "workflows")
"""Measurements of this project alone with separate tables."""

_JOBS = ("work", "contender", "median", "best", "best per step", "CPU per step", "× floor", "peak memory", "load")
_SIZES = ("work", "median", "best", "best each", "CPU each", "peak memory", "before", "load")
_CONTENDED = ("work", "alone", "contended", "worst", "load")
_ORDERED = ("work, × ideal schedule", "ideal", "no schedule below", "FIFO", "without history", "with history", "load")
_COMPILE = ("steps compiled", "median", "best", "best per step", "peak memory", "before", "load")


def _job_rows(job: dict[str, Any]) -> Iterator[Sequence[str]]:
    contenders = job["contenders"]
    sleeps = job["critical_path"] > 0
    # Of the best times: they exclude the effect of other programs on the machine.
    floor = job["critical_path"] if sleeps else contenders.get("floor", {}).get("best")
    for name, found in contenders.items():
        yield (
            job["title"],
            name,
            f"{found['seconds']:.3f} s",
            f"{found['best']:.3f} s",
            _milliseconds(found["best"] / job["steps"]),
            _milliseconds(found["cpu"] / job["steps"]),
            (f"{found['best'] / floor:.2f}" + (" × critical path" if sleeps else "")) if floor else "",
            f"{found['peak']:.0f} MB",
            _load(found["load"]),
        )


def _compile_rows(lengths: dict[str, Any]) -> Iterator[Sequence[str]]:
    for length, found in lengths.items():
        yield (
            f"{int(length):,}",
            f"{found['seconds']:.3f} s",
            f"{found['best']:.3f} s",
            _milliseconds(found["best"] / int(length)),
            f"{found['peak']:.0f} MB",
            f"{found['before']:.0f} MB",
            _load(found["load"]),
        )


def _size_row(found: dict[str, Any]) -> Sequence[str]:
    return (
        found["title"],
        f"{found['seconds']:.1f} s",
        f"{found['best']:.1f} s",
        f"{_milliseconds(found['best'] / found['count'])}/{found['unit']}",
        f"{_milliseconds(found['cpu'] / found['count'])}/{found['unit']}",
        f"{found['peak']:.0f} MB",
        f"{found['before']:.0f} MB",
        _load(found["load"]),
    )


def _contended_row(found: dict[str, Any]) -> Sequence[str]:
    figures = [_milliseconds(found[name]) for name in ("alone", "latency", "worst")]
    return (found["title"], *figures, _load(found["load"]))


def _ordered_row(found: dict[str, Any]) -> Sequence[str]:
    ratios = [f"{found[name]:.3f}" for name in ("bound", "fifo", "first", "second")]
    return (found["title"], f"{found['ideal']:.3f} s", *ratios, _load(found["load"]))


def _load(loads: Sequence[float]) -> str:
    return f"{min(loads):.1f} to {max(loads):.1f}"


def _milliseconds(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:,.0f} ms" if milliseconds >= 1000 else f"{milliseconds:.3g} ms"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [head, ["-" * (width - 1) + ":" if column else "-" * width for column, width in enumerate(widths)], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )
