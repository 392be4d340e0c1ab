"""`workers`: which workers there are, and what waits for them."""

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place


@with_groups
def workers(json: common.JsonOption = False, *, place: Place) -> None:
    """List the workers, and count the runs that wait for one.

    A worker that has not reported for 15 seconds is lost. Lost workers are listed for ten minutes.
    """
    import time

    from orchestrator.cli.terminal.output import emit, emit_json, moment, say, seconds, table
    from orchestrator.text.words import plural

    with place.open() as orchestrator:
        found, queue = orchestrator.list_workers(), orchestrator.queue_lengths()
    if json:
        emit_json({"workers": [each.to_dict() for each in found], "queue": [each.to_dict() for each in queue]})
        return
    if found:
        rows = [
            (
                each.name,
                "lost" if each.lost else "draining" if each.draining else "working" if each.executing else "idle",
                f"{each.executing}/{each.concurrency}",
                str(each.waiting),
                ", ".join(each.labels),
                moment(each.started_at),
                f"{seconds(each.age)} ago",
            )
            for each in found
        ]
        emit(table(("WORKER", "STATE", "RUNS", "WAITING", "LABELS", "STARTED", "SEEN"), rows))
    else:
        say("no workers; start one with `orchestrator worker`")
    for each in queue:
        labels = f" with the labels {', '.join(each.labels)}" if each.labels else ""
        age = seconds(max(0.0, time.time() - each.oldest))
        say(f"{plural(each.runs, 'run')} for workers{labels}: the oldest was submitted {age} ago")
