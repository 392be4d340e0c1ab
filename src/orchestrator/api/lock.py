"""Writes the lock of a pipeline file: the answers of models for its `<AUTO>` values, from a run or requested now."""

from __future__ import annotations

import asyncio
import json
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct, field

from orchestrator.api.backend import plan_of
from orchestrator.api.run import Run
from orchestrator.compiler.auto.lock_file import Lock, LockedValue, answer_problems, read_lock, write_lock
from orchestrator.compiler.ir.files import SUFFIX
from orchestrator.errors import CompilationError
from orchestrator.evaluation.adhoc_models import AdhocModels, run_blocking
from orchestrator.journal.records import RunFilter
from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.models.actions.auto_values import auto_values_prompt
from orchestrator.models.calls.lock_entries import KeptAnswer, has_mark, question_digest
from orchestrator.models.messages import Message, ModelRequest
from orchestrator.models.output.schemas import accepted
from orchestrator.plan.auto_values import AutoValue
from orchestrator.text.content import path_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.api.backend import Backend
    from orchestrator.plan.model import Plan

AnswerSource = Literal["kept", "recorded", "asked"]

_NUMBERS: Final = re.compile(r"\[\d+\]")
_ASIDE: Final = ":auto"


class LockedPlace(Struct, frozen=True):
    """A value of the file, and its answers, each with its source: the lock, a run, or a model now.

    `secret`: it has no answer because its question or its answer contains a secret. A model is called in each run.
    """

    at: str
    question: str
    varies: bool
    answers: tuple[tuple[KeptAnswer, AnswerSource], ...]
    secret: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        answers = [{**answer.to_dict(), "from": came} for answer, came in self.answers]
        known = {"at": self.at, "text": self.question, "varies": self.varies, "secret": self.secret}
        return {**known, "answers": answers}


class LockUpdate(Struct, frozen=True):
    """The changes to a lock, or with `check` those that are needed. `removed` are the values that no longer exist.

    `up_to_date`: each value has an answer, or a secret, and nothing else is in the lock. `run_id` is the run from which
    answers were taken.
    """

    path: Path
    values: tuple[LockedPlace, ...]
    removed: tuple[str, ...]
    changed: bool
    up_to_date: bool
    run_id: str | None = None
    spending: Spending = NOTHING

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "lock": str(self.path),
            "up_to_date": self.up_to_date,
            "changed": self.changed,
            "values": [value.to_dict() for value in self.values],
            "removed": list(self.removed),
            "run_id": self.run_id,
            **self.spending.to_dict(),
        }


class _Place(Struct):
    """A value whose answers are being collected. `marked`: its question or answer contained a secret."""

    auto: AutoValue
    answers: dict[str, tuple[KeptAnswer, AnswerSource]] = field(default_factory=dict)
    marked: bool = False

    @property
    def secret(self) -> bool:
        """Whether it must not be locked: a model is called in each run."""
        return not self.answers and (self.auto.secret or (self.marked and self.auto.varies))

    def take(self, answer: KeptAnswer, came: AnswerSource) -> None:
        """Take an answer in if it is one to this question, and no secret is in either."""
        if self.auto.secret or has_mark([answer.question, answer.answer]):
            self.marked = True
            return
        known = self.auto.varies or answer.asked == question_digest(self.auto.text, self.auto.schema)
        if known and not answer_problems(answer.answer, self.auto.schema) and answer.asked not in self.answers:
            self.answers[answer.asked] = (answer, came)


def lock_file(backend: Backend, file: Path, *, run: str | None, fresh: bool, check: bool) -> LockUpdate:
    """See `Orchestrator.lock`."""
    plan = plan_of(backend.compile(file, locks=False))
    path = file.with_name(file.name + SUFFIX)
    old = _old(path, file) if path_kind(path) is not None else None
    places = {auto.at: _Place(auto) for auto in plan.autos}
    stale = [] if old is None else list(_keep(old, places, fresh=fresh))
    if check:
        return _told(path, places, stale, changed=False, up_to_date=not stale and _complete(places))
    needed = not all(place.answers or place.auto.secret for place in places.values())
    recorded = _recorded_run(backend, plan, run, needed=needed)
    if recorded is not None:
        _take_recorded(recorded, places, only_varying=fresh and run is None)
    spending, problem = _ask_for(backend, [place for place in places.values() if _can_be_asked(place)])
    changed = _write(path, file.name, places, old)
    if problem is not None:
        raise problem
    run_id = recorded.id if recorded is not None else None
    done = _complete(places)
    return _told(path, places, stale, changed=changed, up_to_date=done, run_id=run_id, spending=spending)


def _told(
    path: Path,
    places: Mapping[str, _Place],
    stale: list[str],
    *,
    changed: bool,
    up_to_date: bool,
    run_id: str | None = None,
    spending: Spending = NOTHING,
) -> LockUpdate:
    values = tuple(
        LockedPlace(place.auto.at, place.auto.text, place.auto.varies, tuple(place.answers.values()), place.secret)
        for place in places.values()
    )
    removed = tuple(at for at in stale if at not in places)
    return LockUpdate(path, values, removed, changed, up_to_date, run_id, spending)


def _complete(places: Mapping[str, _Place]) -> bool:
    return all(place.answers or place.secret for place in places.values())


def _can_be_asked(place: _Place) -> bool:
    return not place.answers and place.auto.asks is not None


def _old(path: Path, file: Path) -> Lock:
    lock = read_lock(path.read_text(encoding="utf-8", errors="replace"), f"{file}{SUFFIX}")
    if lock.problems:
        raise CompilationError(f"the lock `{path}` cannot be read", diagnostics=lock.problems)
    return lock


def _keep(old: Lock, places: Mapping[str, _Place], *, fresh: bool) -> Iterator[str]:
    """Keep the answers that still fit; yield the places of those that do not."""
    for value in old.values.values():
        place = places.get(value.at)
        same = place is not None and (value.text, value.schema) == (place.auto.text, place.auto.schema)
        if place is None or not same or place.auto.secret:
            yield value.at
            continue
        if fresh:
            continue
        place.marked = not value.answers  # as `lock` writes values that had a secret in a run
        for answer in value.answers:
            place.take(answer, "kept")
        if len(place.answers) != len(value.answers):
            yield value.at


# --- from a run


def _recorded_run(backend: Backend, plan: Plan, run: str | None, *, needed: bool) -> Run | None:
    if run is not None:
        return Run(backend, backend.find_run(run))
    if not needed or not backend.has_store():
        return None
    found = backend.store.list(limit=1, wanted=RunFilter("succeeded", plan.id))
    return Run(backend, found[0].run_id) if found else None


def _take_recorded(run: Run, places: Mapping[str, _Place], *, only_varying: bool) -> None:
    """Take the answers of a run to questions that are unchanged in the file and contain no secrets."""
    then = {auto["at"]: (auto["text"], auto["type"]) for auto in run.record().plan.get("autos", ())}
    same = {
        at
        for at, place in places.items()
        if then.get(at) == (place.auto.text, place.auto.schema) and (place.auto.varies or not only_varying)
    }
    if not same:
        return
    for path, step in run.snapshot().steps.items():
        if not path.endswith(_ASIDE) or step.state != "succeeded" or not isinstance(step.output, dict):
            continue
        within = _NUMBERS.sub("", path).removesuffix(_ASIDE) + "."
        for name, asked in step.output.get("asked", {}).items():
            if asked["at"] in same and asked["at"].startswith(within) and not asked["locked"]:
                when = _moment(step.ended_at)
                place, answer, model = places[asked["at"]], step.output["data"][name], step.output.get("model", "")
                digest = question_digest(asked["question"], place.auto.schema)
                place.take(KeptAnswer(digest, asked["question"], answer, model, when), "recorded")


# --- from models, now


def _ask_for(backend: Backend, places: list[_Place]) -> tuple[Spending, Exception | None]:
    """Ask for values, those of one step in one call. Return the usage, and the first error."""
    calls: dict[str, list[_Place]] = {}
    for place in places:
        asks = place.auto.asks or {}
        calls.setdefault(json.dumps([asks["about"], asks.get("model")]), []).append(place)
    if not calls:
        return NOTHING, None

    async def all_of_them() -> tuple[Spending, Exception | None]:
        done = await asyncio.gather(*(_ask(backend, group) for group in calls.values()), return_exceptions=True)
        spent = sum((each for each in done if isinstance(each, Spending)), NOTHING)
        for each in done:
            if isinstance(each, BaseException) and not isinstance(each, Exception):
                raise each
        return spent, next((each for each in done if isinstance(each, Exception)), None)

    return run_blocking(all_of_them())


async def _ask(backend: Backend, places: list[_Place]) -> Spending:
    questions: dict[str, str] = {}
    properties: dict[str, Any] = {}
    owners: dict[str, _Place] = {}
    for place in places:
        asks = place.auto.asks or {}
        for name, question in asks["questions"].items():
            questions[name], owners[name] = question, place
            properties[name] = asks["schema"]["properties"][name]
    asks = places[0].auto.asks or {}
    model = asks.get("model", ())
    system, prompt, form = auto_values_prompt(questions, properties, asks["about"])
    adhoc = AdhocModels(backend.services, (model,) if isinstance(model, str) else tuple(model))
    request = ModelRequest((Message("user", prompt),), system=system, schema=form.schema)
    answer = await adhoc.ask(request, lambda reply: accepted(form, reply))
    now = _moment(datetime.now(UTC).timestamp())
    for name, place in owners.items():
        digest = question_digest(place.auto.text, place.auto.schema)
        place.take(KeptAnswer(digest, questions[name], answer.value[name], str(answer.model), now), "asked")
    return adhoc.spending


# --- the file


def _write(path: Path, name: str, places: Mapping[str, _Place], old: Lock | None) -> bool:
    """Write the lock if it is another one than before, whole or not at all; without any value there is none."""
    values = [
        LockedValue(place.auto.at, place.auto.text, place.auto.schema, tuple(a for a, _ in place.answers.values()))
        for place in places.values()
        if place.answers or (place.secret and not place.auto.secret)
    ]
    if not values:
        path.unlink(missing_ok=True)
        return old is not None
    text = write_lock(values, name)
    if old is not None and old.source.text == text:
        return False
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return True


def _moment(seconds: float | None) -> str:
    when = datetime.fromtimestamp(seconds or 0.0, UTC)
    return when.replace(microsecond=0).isoformat().replace("+00:00", "Z")
