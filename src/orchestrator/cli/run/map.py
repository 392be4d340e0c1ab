"""`map`: run a pipeline once for each row of a file, and write what becomes of each."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.run_options import RunOptions
from orchestrator.cli.options.usage_errors import whole_number


def map(
    file: common.FileArgument,
    rows: Annotated[
        Path, typer.Argument(metavar="INPUTS", help="A file of JSON Lines or CSV: the inputs of a run in each row.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file for the results. Default: stdout")
    ] = None,
    batch: Annotated[str | None, typer.Option("--batch", metavar="ID", help="Resume this batch.")] = None,
    max_parallel: Annotated[
        int | None,
        typer.Option(
            "--max-parallel",
            parser=whole_number("--max-parallel", least=1),
            metavar="N",
            help="Execute at most N runs at once. Default: `max_parallel` under [map] in orchestrator.toml, else 16",
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            "--delimiter",
            metavar="CHARACTER",
            help="The delimiter of CSV cells. Default: detected from the first lines, else a comma.",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding", metavar="NAME", help="The encoding of the rows, such as windows-1252. Default: UTF-8"
        ),
    ] = None,
    input: common.InputOption = None,
    inputs: common.InputsOption = None,
    label: common.LabelOption = None,
    store: common.StoreOption = None,
    server: common.ServerOption = None,
    json: Annotated[bool, typer.Option("--json", help="With --out: print the counts as JSON.")] = False,
    quiet: common.QuietOption = False,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            metavar="AMOUNT",
            help="Spend at most this on models in all rows: 2usd, 50000tokens or 100requests. Repeatable.",
        ),
    ] = None,
    no_cache: common.NoCacheOption = False,
    refresh: common.RefreshOption = None,
    tools: common.ToolsOption = None,
    allow_path: common.AllowPathOption = None,
    allow_run: common.AllowRunOption = False,
    allow_host: common.AllowHostOption = None,
) -> None:
    """Run a pipeline once for each row of a file.

    Rows are read as runs end, and each result is written as soon as it is available, as one JSON object per line: row,
    run_id, state, outputs, error. Results are not in the order of the rows. Rows are counted from 1. -i and --inputs
    give inputs for all rows; the values in a row take precedence. A row with invalid inputs is reported as invalid.

    The id of the batch is printed. After Ctrl-C, a crash or failures, the same command with --batch ID resumes it: rows
    that succeeded are not run again, interrupted runs are resumed, and the results of all rows are written. --budget
    applies to the whole batch, including what it has spent before; the budget of each run is in the file. Rows that
    were not started because the budget was used up are counted, but not written.

    Exit code: 0 all succeeded, 1 a row failed, 2 not started because of an error, 3 some runs are paused or wait for an
    answer, 130 interrupted.
    """
    from orchestrator.cli.options.budgets import budget_words, larger_budget, read_budget
    from orchestrator.cli.options.inputs import read_inputs
    from orchestrator.cli.run.batch_progress import Tally, progress_shown, sink
    from orchestrator.cli.run.batch_rows import open_rows
    from orchestrator.cli.run.foreground import reported
    from orchestrator.cli.run.run import warn
    from orchestrator.cli.terminal.interrupts import counted_interrupts
    from orchestrator.cli.terminal.output import emit_json, only_data, say

    options = RunOptions(
        store=store,
        server=server,
        quiet=quiet,
        tools=tools,
        allow_path=allow_path,
        allow_run=allow_run,
        allow_host=allow_host,
        no_cache=no_cache,
        refresh=refresh,
    )
    with reported(options.display), options.orchestrator() as orchestrator:
        pipeline = orchestrator.compile(file)
        shared = read_inputs(pipeline.inputs, input or (), inputs)
        if not quiet:
            warn(pipeline)
        with (
            open_rows(rows, pipeline.inputs, shared, delimiter=delimiter, encoding=encoding) as found,
            sink(out, instead_of=rows) as write,
            only_data(),
            counted_interrupts() as interrupts,
            pipeline.with_options(labels=label).map(
                found, max_parallel=max_parallel, batch=batch, budget=read_budget(budget)
            ) as results,
        ):
            tally = Tally(results.batch, found)
            say(f"batch {results.batch}: {pipeline.name or pipeline.id}")
            if found.hint is not None:
                say(found.hint)

            def stop() -> None:
                tally.stopping = f"stopping; {interrupts.again} to stop immediately"
                results.stop()

            with progress_shown(tally, quiet=quiet) as tell, interrupts.calling(stop):
                for result in results:
                    tally.add(result)
                    if result.state != "pending":  # there may be any number of them
                        write(result)
                        tell(result)
            if interrupts.count:
                results.close()
                rest = found.count_rest()
                tally.left = None if rest is None else max(0, found.count + rest - tally.total)
        tally.spent = orchestrator.get_batch(tally.batch).spent if tally.begun else tally.spent
    if json and out is not None:
        emit_json(tally.to_dict())
    command = ["orchestrator", "map", str(file), str(rows), "--batch", tally.batch]
    larger = larger_budget(budget, done=tally.total, left=tally.pending) if tally.used_up else budget
    command += [*([] if out is None else ["--out", str(out)]), *budget_words(larger)]
    secret = {name for name, spec in pipeline.inputs.items() if spec.secret}
    given = [pair for pair in input or () if pair.partition("=")[0] not in secret]
    command += [word for pair in given for word in ("-i", pair)] + (
        [] if inputs in (None, "-") else ["--inputs", inputs]
    )
    command += [] if max_parallel is None else ["--max-parallel", str(max_parallel)]
    command += [word for each in label or () for word in ("--label", each)]
    for option, value in (("--delimiter", delimiter), ("--encoding", encoding)):
        command += [] if value is None else [option, value]
    tally.tell_end(shlex.join([*command, *options.words()]), interrupted=interrupts.count > 0)
    raise typer.Exit(tally.exit_code(interrupted=interrupts.count > 0))
