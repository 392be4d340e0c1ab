"""Journals of the conformance runs, frozen: what each run recorded, and what was read from it.

`python -m tests.history.frozen` records the journals of all conformance runs again and reads them. Only do that when
the events change; a change of what is read from them (texts, say) needs `UPDATE_FROZEN=1 pytest tests/history` alone.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from orchestrator.history.result import Result
from orchestrator.history.step_results import StepResults
from orchestrator.history.why import explain_step
from orchestrator.journal import Event, ItemEnds, RunRecord, fold_all, resume_state, status_of, step_records
from orchestrator.journal.run_payloads import RunCreatedPayload
from orchestrator.journal.state.usage import Spending

JOURNALS = Path(__file__).with_name("journals.jsonl.gz")
PROJECTIONS = Path(__file__).with_name("projections.jsonl.gz")
RECORD_TO = "RECORD_JOURNALS"
"""The environment variable that has the conformance tests write their journals to a file."""


@dataclasses.dataclass(frozen=True)
class Journals:
    """All runs of one conformance case, standing in for a store: the events in full, and what each run is made of."""

    case: str
    runs: Mapping[str, RunRecord]
    log: Mapping[str, Sequence[Event]]

    def record(self, run_id: str) -> RunRecord:
        """Return what a run is made of."""
        return self.runs[run_id]

    def events(
        self,
        run_id: str,
        after: int = 0,
        limit: int = 1000,
        *,
        resolve: bool = False,
        paths: Iterable[str] | None = None,
    ) -> list[Event]:
        """Return events of a run, as a store does."""
        wanted = None if paths is None else set(paths)
        found = (each for each in self.log[run_id] if each.seq > after and (wanted is None or each.path in wanted))
        return list(found)[:limit]

    def values_at(self, run_id: str, seqs: Sequence[int]) -> list[Any]:
        """Return the outputs that the events with these numbers recorded."""
        found = [self.log[run_id][seq - 1].data for seq in seqs]
        return [data.get("output", data.get("value")) for data in found]

    def resolve(self, value: Any) -> Any:
        """Return the value: nothing is apart."""
        return value

    def list(self, *, limit: int) -> list[Any]:
        """Return the status of each run, the newest first."""
        states = [status_of(fold_all(events), events[-1].at) for events in self.log.values()]
        return sorted(states, key=lambda status: -(status.created_at or 0))[:limit]


def write(target: Path, case: str, store: Any, directory: Path) -> None:
    """Append the journals of all runs in a store to a file; nothing of this machine stays in them."""
    runs = []
    for status in store.list(limit=1000):
        made = store.record(status.run_id)
        events = [each.to_dict() for each in store.events(status.run_id, limit=100_000, resolve=True)]
        runs.append({"run_id": status.run_id, "at": made.created_at, "made": made.payload.to_data(), "events": events})
    runs.sort(key=lambda run: run["run_id"])
    text = json.dumps({"case": case, "runs": runs})
    here = {str(directory): "/project", str(directory.parent): "/elsewhere", str(Path.cwd()): "/project"}
    here |= {str(Path(__file__).parents[2]): "/checkout", f" on {socket.gethostname()}": " on host"}
    for found, said in here.items():
        text = text.replace(found, said)
    with target.open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def read() -> Iterator[Journals]:
    """Read the frozen journals."""
    with gzip.open(JOURNALS, "rt", encoding="utf-8") as lines:
        for line in lines:
            data = json.loads(line)
            runs = {
                each["run_id"]: RunRecord.of(each["run_id"], each["at"], RunCreatedPayload.from_data(each["made"]))
                for each in data["runs"]
            }
            log = {each["run_id"]: [Event(**event) for event in each["events"]] for each in data["runs"]}
            yield Journals(data["case"], runs, log)


def projections(journals: Journals) -> dict[str, Any]:
    """Return everything that is read from the journals of a case, as JSON data."""
    return {run_id: _of_run(journals, run_id) for run_id in journals.runs}


def _of_run(journals: Journals, run_id: str) -> dict[str, Any]:
    events = journals.log[run_id]
    at = events[-1].at + 1.0
    state = fold_all(events)
    status = status_of(state, at)
    steps = StepResults(journals, run_id, len(events))  # type: ignore[arg-type]
    result = Result(run_id, status.state, {}, steps, status.error, events, status.spending, status.warnings)
    return {
        "fold": state.to_dict(),
        "status": status.to_dict(),
        "interrupted": status_of(state, at, interrupted=True).to_dict(),
        "history": plain(step_records(events)),
        "resume": plain(resume_state(events)),
        "steps": {path: step.to_dict() for path, step in steps.items()},
        "page": result.to_markdown(),
        "why": {path: explain_step(journals, status, path).to_dict() for path in steps},  # type: ignore[arg-type]
    }


def plain(value: Any) -> Any:
    """Return data classes and item ends as JSON data."""
    match value:
        case Spending():
            return value.to_dict()
        case ItemEnds():
            return [[index, value.state(index), value.seq(index)] for index in value]
        case Struct():
            return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        case _ if dataclasses.is_dataclass(value):
            return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case set() | frozenset():
            return sorted(map(plain, value))
        case _:
            return value


def expected() -> dict[str, Any]:
    """Read what was read from the journals when that was last accepted, by case."""
    with gzip.open(PROJECTIONS, "rt", encoding="utf-8") as lines:
        return dict(json.loads(line) for line in lines)


def accept() -> None:
    """Keep what is read from the journals now as what is expected."""
    lines = (json.dumps([each.case, projections(each)], sort_keys=True) for each in read())
    pack(PROJECTIONS, "".join(f"{line}\n" for line in lines))


def pack(path: Path, text: str) -> None:
    """Write a text compressed, the same bytes for the same text."""
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def main() -> None:
    """Run the conformance cases and freeze their journals."""
    target = JOURNALS.with_suffix("")
    target.unlink(missing_ok=True)
    tests = "tests/conformance/test_conformance.py::test_a_pipeline_runs_as_promised"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", tests], env=os.environ | {RECORD_TO: str(target)}, check=True
    )
    pack(JOURNALS, target.read_text(encoding="utf-8"))
    target.unlink()
    accept()


if __name__ == "__main__":
    main()
