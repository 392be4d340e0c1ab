"""What a run keeps when it continues with an edited pipeline or with other inputs.

Pure functions over plans as JSON data (`Plan.to_dict`) and over the recorded state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from msgspec import Struct

from orchestrator.history.invalidation import recorded_roots
from orchestrator.paths import is_at_or_below
from orchestrator.plan.diff import changed_variables, dependency_order, hyphenated_names, names_read, step_difference
from orchestrator.text.representation import PartlyShown

if TYPE_CHECKING:
    from orchestrator.journal.state.resume_state import ResumeState

Data = Mapping[str, Any]


class StepChange(Struct, frozen=True):
    """What happens to one step, and why. `ran`: it has records, which are lost unless it is kept."""

    path: str
    action: Literal["keep", "run", "remove"]
    reason: str = ""
    ran: bool = False


class Changes(PartlyShown, frozen=True):
    """What a run keeps, runs again, and drops when it continues with another pipeline.

    `steps` has every step, in the file's order, then the removed ones. `forget` are the paths to drop.
    """

    hidden: ClassVar = ("forget",)

    run_id: str
    steps: tuple[StepChange, ...]
    forget: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[str, ...]:
        """The steps whose results are kept."""
        return tuple(step.path for step in self.steps if step.action == "keep")

    @property
    def to_run(self) -> tuple[str, ...]:
        """The steps that run, for the first time or again."""
        return tuple(step.path for step in self.steps if step.action == "run")

    @property
    def removed(self) -> tuple[str, ...]:
        """The steps that the pipeline no longer has."""
        return tuple(step.path for step in self.steps if step.action == "remove")

    def to_dict(self) -> dict[str, Any]:
        """Return the changes as JSON data."""
        return {
            "run_id": self.run_id,
            "steps": [
                {"path": step.path, "action": step.action, "reason": step.reason, "ran": step.ran}
                for step in self.steps
            ],
        }


def compare(
    run_id: str, old: Data, new: Data, recorded: ResumeState, *, failed: str = "", changed_inputs: Iterable[str] = ()
) -> Changes:
    """Return what a run with the plan `old` keeps when it continues with `new`.

    A step is kept if it has ended, is unchanged, and everything that it depends on is kept. `failed` is the path of the
    failure that ended the run.
    """
    return _Comparison(old, new, recorded, failed, frozenset(changed_inputs)).changes(run_id)


class _Comparison:
    def __init__(
        self, old: Data, new: Data, recorded: ResumeState, failed: str, changed_inputs: frozenset[str]
    ) -> None:
        self._old = {step["id"]: step for step in old["steps"]}
        self._new = {step["id"]: step for step in new["steps"]}
        self._pipelines = (old.get("pipelines", {}), new.get("pipelines", {}))
        self._recorded = recorded
        self._failed = failed
        self._hyphenated = hyphenated_names(new)
        self._changed = changed_variables(old, new, self._hyphenated) | {
            name: f"the input `{name}`" for name in changed_inputs
        }
        self._ran = recorded_roots(recorded)
        self._stale: dict[str, str] = {}

    def changes(self, run_id: str) -> Changes:
        for step_id in dependency_order(self._new):
            self._stale[step_id] = self._why_again(step_id)
        steps = [self._change(step_id) for step_id in self._new]
        gone = [step_id for step_id in self._old if step_id not in self._new]
        steps += [
            StepChange(step_id, "remove", "the pipeline no longer has it", step_id in self._ran) for step_id in gone
        ]
        forget = [step.path for step in steps if step.ran and (step.action == "remove" or self._stale[step.path])]
        return Changes(run_id, tuple(steps), tuple(forget))

    def _change(self, step_id: str) -> StepChange:
        """Return what happens to a step, and why: its result is stale or missing."""
        ran = step_id in self._ran
        if step_id not in self._old:
            return StepChange(step_id, "run", "new")
        record = self._recorded.steps.get(step_id)
        again = self._stale[step_id]
        if record is not None and record.settled:
            return StepChange(step_id, "run" if again else "keep", again, ran)
        if self._failed and is_at_or_below(self._failed, step_id):
            reason = "it had failed"
        elif not ran:
            reason = "it has not run yet"
        else:
            reason = "it had not ended"
        items = self._recorded.items.get(step_id)
        if again and ran:
            reason += f", and {again}"
        if items:
            reason += f"; {len(items)} finished items {'run again' if again else 'are kept'}"
        return StepChange(step_id, "run", reason, ran)

    def _why_again(self, step_id: str) -> str:
        """Return why the records of a step are invalid; "" if they are valid."""
        old, new = self._old.get(step_id), self._new[step_id]
        if old is None:
            return "new"
        if difference := step_difference(old, new, *self._pipelines):
            return difference
        read = names_read(new, self._hyphenated)
        for name, words in self._changed.items():
            if name in read:
                return f"it reads {words}, which changed"
        for other in dict.fromkeys((*new["dependencies"], *old["dependencies"])):
            verb = "reads" if other in read else "depends on"
            if other not in self._new:
                return f"it depended on `{other}`, which was removed"
            if self._stale.get(other) and (other in self._ran or other not in self._old):
                how = "runs again" if other in self._ran else "is new"
                return f"it {verb} `{other}`, which {how}"
        return ""
