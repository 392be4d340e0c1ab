"""The figures of a run as Markdown, which reads well in a terminal too, and the part of the page that they are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from contenders import CONTENDERS
from jobs import JOBS
from targets import TARGETS, missed

MARKS = ("<!-- figures: written by bench/run.py -->", "<!-- end of figures -->")
CONTENDED = ("contended", "prune")
"""Groups whose rows compare a latency with and without other work."""

SEPARATE = (*CONTENDED, "serve", "workflows", "start")
"""Measurements of this project alone with separate tables."""

_JOBS = ("work", "contender", "median", "per step", "CPU per step", "× floor", "peak memory", "times", "load")
_ALONE = ("work", "median", "each", "CPU each", "peak memory", "before", "times", "load")
_CONTENDED = ("work", "alone", "contended", "worst", "times", "load")
_ORDERED = ("work, × ideal schedule", "ideal", "no schedule below", "FIFO", "without history", "with history", "load")
_SERVED = ("the server", "each", "a second", "median", "99th percentile", "memory", "grown", "times", "load")
_START = ("process", "time", "CPU", "memory at its end", "times", "load")
_TARGETS = ("target", "limit", "measured", "result")


def with_figures(page: str, results: Mapping[str, Any]) -> str:
    """Return the page with the figures between its marks."""
    begin, end = MARKS
    before, _, rest = page.partition(begin)
    after = rest.partition(end)[2]
    return f"{before}{begin}\n\n{figures(results)}\n\n{end}{after}"


def figures(results: Mapping[str, Any]) -> str:
    """Return the description of the machine, the targets and all tables."""
    groups = results["groups"]
    if not groups:
        return "There are no figures yet: `make bench` writes them."
    jobs = [row for name in JOBS if name in groups for row in _job_rows(groups[name])]
    others = [rows for name, rows in groups.items() if name not in (*JOBS, *SEPARATE)]
    contended = [row for name in CONTENDED for row in groups.get(name, {}).items()]
    start = groups.get("start", {}).items()
    parts = [
        _machine(results),
        _table(_TARGETS, list(_target_rows(groups)) if results["sizes"] == "whole" else []),
        _table(_JOBS, jobs),
        _table(_ALONE, [_alone_row(*row) for rows in others for row in rows.items()]),
        _table(_CONTENDED, [_contended_row(*row) for row in contended]),
        _table(_SERVED, [_served_row(*row) for row in groups.get("serve", {}).items()]),
        _table(_ORDERED, [_ordered_row(*row) for row in groups.get("workflows", {}).items()]),
        _table(_START, [_start_row(*row) for row in start]),
    ]
    return "\n\n".join(part for part in parts if part)


def verdict(results: Mapping[str, Any]) -> str:
    """Name the targets that were missed, and say how many were reached."""
    if results["sizes"] != "whole":
        return "small sizes have no targets"
    groups = results["groups"]
    lines = [
        f"missed: {target.title}: {_number(value)} {target.unit}, {_limit(target)}" for target, value in missed(groups)
    ]
    measured = sum(target.measured(groups) is not None for target in TARGETS)
    return "\n".join([f"{measured - len(lines)} of {measured} targets reached", *lines])


def _machine(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    without = max(
        (row["without_bytecode"] for group in results["groups"].values() for row in group.values()), default=0
    )
    bytecode = (
        f"up to {without} of the loaded modules had no bytecode and were compiled from their source"
        if without
        else "every loaded module had bytecode"
    )
    text = (
        f"Measured on {machine['date']} with {machine['cores']} cores ({machine['processor']}) and {machine['memory']} "
        f"GB of memory, {machine['system']}, Python {machine['python']}, SQLite {machine['sqlite']}, "
        f"{'PostgreSQL ' + machine['postgres'] if machine['postgres'] else 'no PostgreSQL'}, {versions}; {bytecode}."
    )
    left_out = "".join(f"\n- `{name}` was left out: {reason}" for name, reason in results["left_out"].items())
    return text + ("\n" + left_out if left_out else "")


def _target_rows(groups: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for target in TARGETS:
        value = target.measured(groups)
        if value is not None:
            result = "reached" if target.is_reached(value) else "**missed**"
            yield (target.title, _limit(target), f"{_number(value)} {target.unit}", result)


def _limit(target: Any) -> str:
    return f"{'at least' if target.at_least else 'at most'} {target.limit:g} {target.unit}"


def _job_rows(rows: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for name, found in rows.items():
        path = found["critical_path"]
        floor = path or rows.get(CONTENDERS[name].floor, {}).get("wall")
        yield (
            found["title"],
            name,
            _seconds(found["wall"]),
            _milliseconds(found["wall"] / found["count"]),
            _milliseconds(found["cpu"] / found["count"]),
            (f"{found['wall'] / floor:.2f}" + (" × critical path" if path else "")) if floor else "",
            _megabytes(found["peak"]),
            *_circumstances(found),
        )


def _alone_row(title: str, found: Mapping[str, Any]) -> Sequence[str]:
    return (
        title,
        _seconds(found["wall"]),
        f"{_milliseconds(found['wall'] / found['count'])}/{found['unit']}",
        f"{_milliseconds(found['cpu'] / found['count'])}/{found['unit']}",
        _megabytes(found["peak"]),
        _megabytes(found["before"]),
        *_circumstances(found),
    )


def _contended_row(title: str, found: Mapping[str, Any]) -> Sequence[str]:
    return (title, *(_milliseconds(found[name]) for name in ("alone", "latency", "worst")), *_circumstances(found))


def _ordered_row(title: str, found: Mapping[str, Any]) -> Sequence[str]:
    ratios = [f"{found[name]:.3f}" for name in ("bound", "fifo", "first", "second")]
    return (title, f"{found['ideal']:.3f} s", *ratios, _circumstances(found)[1])


def _served_row(title: str, found: Mapping[str, Any]) -> Sequence[str]:
    def shown(name: str, text: Callable[[float], str]) -> str:
        return text(found[name]) if name in found else ""

    return (
        title,
        _milliseconds(found["until_ready"] if "until_ready" in found else found["wall"] / found["count"]),
        shown("rate", _number),
        shown("latency", _milliseconds),
        shown("worst", _milliseconds),
        shown("resident", _megabytes),
        shown("more", lambda value: f"{value:.1f} MB"),
        *_circumstances(found),
    )


def _start_row(title: str, found: Mapping[str, Any]) -> Sequence[str]:
    memory = _megabytes(found["memory"]) if "memory" in found else ""
    return (title, _milliseconds(found["wall"]), _milliseconds(found["cpu"]), memory, *_circumstances(found))


def _circumstances(found: Mapping[str, Any]) -> Sequence[str]:
    """Return how often a row was measured, and the load of the machine then."""
    loads = found["load"]
    return (str(found["samples"]), f"{min(loads):.1f} to {max(loads):.1f}")


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s"


def _milliseconds(seconds: float) -> str:
    return f"{_number(seconds * 1000)} ms"


def _megabytes(megabytes: float) -> str:
    return f"{megabytes:,.0f} MB"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; nothing without rows."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [head, ["-" * (width - 1) + ":" if column else "-" * width for column, width in enumerate(widths)], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )
