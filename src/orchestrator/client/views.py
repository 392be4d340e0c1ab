"""What a server returns, as the objects that an orchestrator returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import convert

from orchestrator.history.quality import Finding, Judgement, Quality
from orchestrator.history.revision import Changes, StepChange
from orchestrator.history.why import Comparison, Reason, Why
from orchestrator.journal import Event, RunRecord, RunStatus
from orchestrator.journal.records import BatchStatus, RowProblem
from orchestrator.journal.state.status import ActiveStep, NoticeStatus, QueuedRun
from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.models.budget import Spent
from orchestrator.runtime.host.batches import RowResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.forecast.forecast import Forecast

View = dict[str, Any]

_STATUS_FIELDS = [
    name for name in RunStatus.__struct_fields__ if name not in ("active", "notices", "queued", "spending")
]
_STEP_FIELDS = ActiveStep.__struct_fields__


def status_from(view: View) -> RunStatus:
    """Return the status of a run."""
    fields = {name: view[name] for name in _STATUS_FIELDS if name in view}
    for name in ("failures", "waiting_on", "warnings"):
        fields[name] = tuple(fields.get(name, ()))
    fields["runs_on"] = convert(view.get("runs_on"), tuple[str, ...] | None)
    active = tuple(ActiveStep(**{name: step[name] for name in _STEP_FIELDS if name in step}) for step in view["active"])
    notices = tuple(NoticeStatus(**notice) for notice in view.get("notices", ()))
    queued = convert(view.get("queued"), QueuedRun | None)
    return RunStatus(**fields, active=active, notices=notices, queued=queued, spending=Spending.from_dict(view))


def event_from(view: View) -> Event:
    """Return an event; one of a type that a later version of the server records, too."""
    return Event(view["run_id"], view["seq"], view["at"], view["type"], view["path"], view["attempt"], view["data"])


def record_from(view: View) -> RunRecord:
    """Return what a run was started from."""
    return convert(view, RunRecord)


def why_from(view: View) -> Why:
    """Return the reasons for the state of a step."""
    reasons = tuple(Reason(each["kind"], each["text"], each["at"]) for each in view["reasons"])
    found = view["compared"]
    compared = None if found is None else Comparison(found["run_id"], found["at"], tuple(found["parts"]))
    return Why(view["run_id"], view["path"], view["state"], reasons, compared)


def changes_from(view: View) -> Changes:
    """Return what an edited pipeline changes."""
    steps = tuple(StepChange(each["path"], each["action"], each["reason"], each["ran"]) for each in view["steps"])
    return Changes(view["run_id"], steps, tuple(view["forget"]))


def forecast_from(view: View) -> Forecast:
    """Return the forecast of a run."""
    from orchestrator.forecast.forecast import Forecast  # slow to load, and rarely asked for

    return convert(view, Forecast)


def quality_from(view: View) -> Quality:
    """Return a quality report."""
    return Quality(
        view["run_id"],
        tuple(Finding(**each) for each in view["findings"]),
        tuple(Judgement(**{**each, "suggestions": tuple(each["suggestions"])}) for each in view["judgements"]),
        view["model"],
        Spending.from_dict(view),
    )


def batch_from(view: View) -> BatchStatus:
    """Return the status of a batch."""
    spent = Spent(view["usd"], view["tokens"], view["requests"])
    names = ("batch", "pipeline", "created_at", "rows", "states", "pending", "complete")
    problems = convert(view.get("problems", ()), tuple[RowProblem, ...])
    return BatchStatus(**{name: view[name] for name in names}, spent=spent, problems=problems)


def row_from(view: Mapping[str, Any]) -> RowResult:
    """Return what became of a row of a batch."""
    spending = Spending.from_dict(view) if "usage" in view else NOTHING
    return RowResult(view["row"], view["run_id"], view["state"], view["outputs"], view["error"], spending)
