"""`prune` and `store`: remove old runs from a store, and show what it holds."""

import enum
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import asdict

from orchestrator.cli.options import common
from orchestrator.cli.options.usage_errors import choice_metavar, choice_parser, duration, whole_number
from orchestrator.text.words import byte_size, plural

if TYPE_CHECKING:
    from orchestrator.journal.records import StoreStats


class About(enum.StrEnum):
    """What `store` tells."""

    STATS = "stats"


def prune(
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            parser=duration("--older-than"),
            metavar="DURATION",
            help="Remove what ended longer ago than this, such as 30d or 12h.",
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            parser=whole_number("--keep", least=0),
            metavar="N",
            help="Keep the N runs that ended last.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    json: common.JsonOption = False,
    store: common.StoreOption = None,
) -> None:
    """Remove runs that have ended, and the data that only they used.

    With both --older-than and --keep a run is removed only if both allow it. Cached results are removed by age. Runs
    that are running, paused, waiting or interrupted are kept, as they can continue.
    """
    from orchestrator.cli.terminal.output import emit, emit_json
    from orchestrator.errors import ConfigurationError

    if older_than is None and keep is None:
        raise ConfigurationError(
            "`orchestrator prune` needs a limit",
            help="write for example `orchestrator prune --older-than 30d --keep 100`",
        )
    with common.open_orchestrator(store=store) as orchestrator:
        removed = orchestrator.prune(older_than=older_than, keep=keep, dry_run=dry_run)
    if json:
        emit_json({"dry_run": dry_run, **asdict(removed)})
        return
    parts = [
        plural(removed.runs, "run"),
        plural(removed.cache_entries, "shared result"),
        f"{plural(removed.blobs, 'large value')} of {byte_size(removed.bytes)}",
    ]
    if removed.memories:
        parts.append(f"{plural(removed.memories, 'expired value')} of the memory")
    emit(f"{'would remove' if dry_run else 'removed'} {', '.join(parts)}")


def store(
    about: Annotated[
        About,
        typer.Argument(
            metavar=choice_metavar(About), parser=choice_parser("orchestrator store", About), help="What to show."
        ),
    ],
    json: common.JsonOption = False,
    store: common.StoreOption = None,
) -> None:
    """Show the contents and the size of the store."""
    from orchestrator.cli.terminal.output import emit, emit_json

    with common.open_orchestrator(store=store) as orchestrator:
        stats = orchestrator.store_stats()
    if json:
        emit_json(asdict(stats))
    else:
        emit("\n".join(_lines(stats)))


def _lines(stats: "StoreStats") -> list[str]:
    from orchestrator.cli.terminal.output import moment

    states = ", ".join(f"{count:,} {state}" for state, count in sorted(stats.runs.items()) if count)
    total = sum(stats.runs.values())
    lines = [f"runs            {total:,}" + (f" ({states})" if states else "")]
    if total:
        lines.append(f"created         {moment(stats.oldest)} to {moment(stats.newest)}")
    return [
        *lines,
        f"events          {stats.events:,}",
        f"large values    {stats.blobs:,}, {byte_size(stats.blob_bytes)}",
        f"shared results  {stats.cache_entries:,}",
        f"size            {byte_size(stats.size_bytes)}, {byte_size(stats.free_bytes)} of it free",
    ]
