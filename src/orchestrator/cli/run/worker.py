"""`worker`: execute submitted runs."""

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.usage_errors import duration, whole_number

if TYPE_CHECKING:
    from orchestrator.cluster.worker import Worker


def worker(
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency",
            parser=whole_number("--concurrency", least=1, most=1_000),
            metavar="N",
            help="Execute at most N runs at once. Default: 4",
        ),
    ] = 4,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels", metavar="A,B", help="Also take runs that demand these labels, such as gpu,eu. Repeatable."
        ),
    ] = None,
    drain: Annotated[
        float,
        typer.Option(
            "--drain",
            parser=duration("--drain"),
            metavar="DURATION",
            help="How long to wait for runs when the worker is stopped, before others continue them. Default: 30s",
        ),
    ] = 30.0,
    burst: Annotated[
        bool, typer.Option("--burst", help="Execute the runs that wait now, and end when none is left.")
    ] = False,
    tools: common.ToolsOption = None,
    allow_path: common.AllowPathOption = None,
    allow_run: common.AllowRunOption = False,
    allow_host: common.AllowHostOption = None,
    store: common.StoreOption = None,
) -> None:
    """Execute the runs that `submit` leaves in the store.

    Any number of workers can share a store: on PostgreSQL on many machines, on SQLite on one. When a worker ends
    without a word, another one continues its runs within 12 seconds, and no step that has ended runs again.

    On SIGTERM or Ctrl-C, it takes no further runs, waits for those that it executes, and gives the rest back.
    """
    from orchestrator.cli.terminal.output import say
    from orchestrator.cluster.worker import Worker

    wanted = [label.strip() for each in labels or () for label in each.split(",") if label.strip()]
    with common.open_orchestrator(
        store=store, tools=tools, allow_path=allow_path, allow_run=allow_run, allow_host=allow_host
    ) as orchestrator:
        found = Worker(
            orchestrator,
            concurrency=concurrency,
            labels=wanted,
            drain=drain,
            burst=burst,
            told=lambda run_id, what: say(f"{run_id} {what}"),
        )
        takes = "runs that demand no labels" if not wanted else f"runs for the labels {', '.join(sorted(set(wanted)))}"
        say(f"worker {found.status.name} takes {takes} from {orchestrator.store_url}, {concurrency} at once")
        _run(found)


def _run(worker: "Worker") -> None:
    """Run the worker until a signal stops it; the second one stops it at once."""
    import asyncio

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, worker.stop)
        await worker.run()

    asyncio.run(main())
