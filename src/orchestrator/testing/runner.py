"""Runs the cases of test files: each in its own store, with the permissions of the project."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator import codes as code_symbols
from orchestrator.api.orchestrator import Orchestrator
from orchestrator.api.pipeline import Pipeline
from orchestrator.config.project_file import project_directory
from orchestrator.diagnostics import ACCESS, Diagnostic, Span, sort_diagnostics
from orchestrator.errors import CompilationError, ConfigurationError, OrchestratorError, RunError
from orchestrator.journal.step_payloads import StepWaitingPayload
from orchestrator.models.clients.fake import FakeModel
from orchestrator.models.recordings.clients import RecordingClient, remove_others
from orchestrator.plan.walk import without_brackets
from orchestrator.remedies import Remedy, UpdateTest, advice, call_of
from orchestrator.testing.case import Case
from orchestrator.testing.files import CaseFile, find_files, read_file
from orchestrator.testing.names import PipelineNames
from orchestrator.testing.reader import file_problem
from orchestrator.testing.recordings import hiding, player, recorder, secret_inputs
from orchestrator.testing.stubs import steps_of, stubbed
from orchestrator.testing.verdict import Ended, problems_of
from orchestrator.testing.workspace import PREFIX, copied, may_change_files
from orchestrator.text.content import path_kind
from orchestrator.tools import Permissions

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from orchestrator.api.run import Run
    from orchestrator.journal.state.status import RunStatus
    from orchestrator.models.messages import ModelClient
    from orchestrator.runtime.values.redaction import Redactor

End: TypeAlias = Literal["passed", "failed", "skipped"]

JOBS: Final = 4
"""How many cases run at once."""


class Setting(Struct, frozen=True):
    """The settings of all cases. Relative paths of the pipelines start in `directory`, by default the project's.

    `update`: cases with recordings call the models, and replace the recordings. `in_place`: the cases run in
    `directory` itself, and not each in a temporary copy of it. `render` words the remedies in the reasons of failures.
    """

    directory: Path = field(default_factory=project_directory)
    tools: tuple[Any, ...] = ()
    permissions: Permissions | None = None
    update: bool = False
    in_place: bool = False
    render: Callable[[Remedy], str] = call_of

    def orchestrator(self, file: CaseFile, store: str, models: ModelClient | None) -> Orchestrator:
        """Return the configuration of one case of a file."""
        given = {Path(each).resolve() for each in self.tools if isinstance(each, str)}
        tools = (*self.tools, *(str(path) for path in file.tools if path.resolve() not in given))
        return Orchestrator(
            store=store,
            tools=tools,
            permissions=self.permissions,
            directory=self.directory,
            models=models,
            notify=False,  # tests notify no one
        )


class Outcome(Struct, frozen=True):
    """The outcome of a case: `reasons` explain a failure or skip; `written` are the recordings that it made."""

    file: CaseFile
    case: Case
    end: End
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
    written: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The case's name with its file's."""
        return f"{self.file.path}::{self.case.name}"


def load(path: Path, setting: Setting) -> CaseFile:
    """Read a test file and compare it with its pipeline. All mistakes of both are in `diagnostics`."""
    file = read_file(path)
    if not (file.cases or file.names):
        return file
    return replace(file, diagnostics=tuple(sort_diagnostics([*file.diagnostics, *_against_pipeline(file, setting)])))


def run_cases(selected: Sequence[tuple[CaseFile, Case]], setting: Setting, *, jobs: int = JOBS) -> Generator[Outcome]:
    """Carry out cases side by side, and yield what came of each, in their order."""
    stop = _Stop()
    with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="case") as pool:
        try:
            yield from pool.map(lambda each: _outcome(each[0], each[1], setting, stop), selected)
        except BaseException:  # such as Ctrl-C: those that run end soon, and remove their copies
            stop.all()
            raise


def run_case(file: CaseFile, case: Case, setting: Setting) -> Outcome:
    """Carry out one case."""
    return _outcome(file, case, setting, _Stop())


class _Stop:
    """Stops the cases that run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: set[Run] = set()
        self._asked = threading.Event()

    def asked(self) -> bool:
        """Whether they are to stop."""
        return self._asked.is_set()

    def all(self) -> None:
        """Stop them."""
        with self._lock:
            self._asked.set()
            runs = list(self._runs)
        for run in runs:
            self._cancel(run)

    @contextmanager
    def reaching(self, run: Run) -> Iterator[None]:
        """Cancel a run when the cases are to stop."""
        with self._lock:
            self._runs.add(run)
        if self.asked():
            self._cancel(run)
        try:
            yield
        finally:
            with self._lock:
                self._runs.discard(run)

    def _cancel(self, run: Run) -> None:
        with suppress(OrchestratorError):  # it has ended
            run.cancel(reason="the tests were interrupted")


def _outcome(file: CaseFile, case: Case, setting: Setting, stop: _Stop) -> Outcome:
    began = time.perf_counter()
    hidden = hiding({})
    records: RecordingClient | None = None
    try:
        client = _client(case, file, setting, hidden)
        records = client if isinstance(client, RecordingClient) else None
        end, reasons = _carried_out(file, case, setting, client, hidden, stop)
    except OrchestratorError as error:
        end, reasons = "failed", (_told(error, setting),)
    written = frozenset(records.written) if records is not None else frozenset[str]()
    return Outcome(file, case, end, reasons, time.perf_counter() - began, written)


def forget_unused(outcomes: Sequence[Outcome]) -> int:
    """After all cases of some files were recorded again: remove the recordings that no request uses.

    A directory is kept if other test files are next to it, as they may replay its recordings.
    """
    files = {outcome.file.path.resolve() for outcome in outcomes}
    written: dict[Path, set[str]] = {}
    for outcome in outcomes:
        if outcome.case.models.kind == "replay":
            written.setdefault(outcome.case.models.directory.resolve(), set()).update(outcome.written)
    return sum(
        len(remove_others(directory, names))
        for directory, names in written.items()
        if files.issuperset(path.resolve() for path in find_files([directory.parent]))
    )


def _told(problem: OrchestratorError | Diagnostic, setting: Setting) -> str:
    """Return a problem as text, with its help."""
    help = advice(problem.help, problem.remedies, setting.render)
    return f"{problem.message} [{problem.code}]" + (f"\nhelp: {help}" if help else "")


def _against_pipeline(file: CaseFile, setting: Setting) -> list[Diagnostic]:
    """Compile the pipeline, and compare the names in the file with its."""
    if path_kind(file.pipeline) != "file":
        help = "name it with `pipeline:`; without that it is the file of the same name without `.test`"
        message = f"pipeline file `{file.pipeline}` does not exist"
        if file.pipeline_place is None:
            return [Diagnostic(code_symbols.INVALID_TEST_FILE, message, file.source, Span.at(1, 1), help=help)]
        return [file_problem(file.source, file.pipeline_place, message, help)]
    with setting.orchestrator(file, "sqlite:///:memory:", FakeModel()) as orchestrator:
        try:
            pipeline = orchestrator.compile(file.pipeline)
        except CompilationError as error:
            return [each for each in error.diagnostics if each.severity == "error"]
    known = PipelineNames(pipeline.plan)
    return [problem for named in file.names if (problem := known.problem(file, named)) is not None]


def _client(case: Case, file: CaseFile, setting: Setting, hidden: Redactor) -> ModelClient | None:
    match case.models.kind:
        case "fake":
            return FakeModel(case.models.answers)
        case "live":
            return None
        case "replay":
            directory = case.models.directory
            if setting.update:
                return recorder(directory, setting.directory, hidden)
            return player(directory, hidden, again=UpdateTest(str(file.path)), missing_ok=True)


def _carried_out(
    file: CaseFile, case: Case, setting: Setting, client: ModelClient | None, hidden: Redactor, stop: _Stop
) -> tuple[End, tuple[str, ...]]:
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as store,
        ExitStack() as after,  # the copy goes when nothing runs in it any more
        setting.orchestrator(file, f"sqlite:///{store}/runs.db", client) as orchestrator,
    ):
        try:
            pipeline = orchestrator.compile(file.pipeline)
        except CompilationError as error:
            codes = {each.code for each in error.diagnostics if each.severity == "error"}
            first = next(each for each in error.diagnostics if each.severity == "error")
            reason = _told(first, setting)
            return ("skipped" if case.models.kind == "live" and codes <= ACCESS else "failed"), (reason,)
        hidden.learn(secret_inputs(pipeline.inputs, case.inputs))
        plan = stubbed(pipeline.plan, case.stub)
        if not (setting.in_place or case.in_place) and may_change_files(plan):
            workspace = after.enter_context(copied(setting.directory, stop.asked))
            plan = workspace.plan(plan)
            backend = orchestrator.backend
            backend.permissions = workspace.permissions(backend.permissions)
        if stop.asked():
            return "failed", ("interrupted",)
        pipeline = Pipeline(orchestrator.backend, plan, pipeline.diagnostics, pipeline.options)
        ended = _ended(pipeline.with_options(budget=case.budget), case, stop)
        if case.models.kind == "live" and (ended.error or {}).get("type") == "ModelMissing":
            return "skipped", (str((ended.error or {}).get("message")),)
        problems = tuple(problems_of(case, ended, plan.directory, setting.render))
        return ("failed" if problems else "passed"), problems


def _ended(pipeline: Pipeline, case: Case, stop: _Stop) -> Ended:
    """Start the run, answer its questions, and return how it ended."""
    try:
        run = pipeline.start(case.inputs)
    except ConfigurationError:
        raise
    except OrchestratorError as error:  # invalid inputs, which may be expected
        return Ended("failed", error=error.to_dict())
    answers = _Answers(run, case)
    answering = threading.Thread(target=answers.give_all, name="answers", daemon=True)
    if case.answers:
        answering.start()
    try:
        with stop.reaching(run):
            return _end_of(run, pipeline, case, answers)
    finally:
        if case.answers:
            answering.join()  # its store is about to be closed
        if answers.error is not None:
            raise answers.error


class _Answers:
    """Gives the answers of a case to questions, each once: while the run is running, and while it is idle."""

    def __init__(self, run: Run, case: Case) -> None:
        self._run = run
        self._case = case
        self._given: set[str] = set()
        self._giving = threading.Lock()
        self.error: OrchestratorError | None = None

    def give(self, path: str, *, may_be_late: bool = False) -> None:
        """Answer a question, unless that has been done."""
        with self._giving:
            if path not in self._given:
                self._given.add(path)
                with suppress(RunError) if may_be_late else nullcontext():
                    self._run.answer(path, _answer(path, self._case))

    def give_all(self) -> None:
        """Answer each question as it is asked: a parallel step, such as a wait, may keep the run from becoming idle."""
        try:
            for event in self._run.events():
                asks = event.type == "step.waiting" and StepWaitingPayload.from_data(event.data).question
                if asks and _is_answered(event.path, self._case):
                    self.give(event.path, may_be_late=True)
        except OrchestratorError as error:
            self.error = error
            self._run.cancel(reason="an answer of the test does not fit")


def _end_of(run: Run, pipeline: Pipeline, case: Case, answers: _Answers) -> Ended:
    """Answer the questions, wait for the end of the run, and return how it ended."""
    until = time.monotonic() + case.timeout
    try:
        while True:
            status = run.wait(timeout=max(0.0, until - time.monotonic()))
            asked = _questions(status, case)
            if status.state != "waiting" or not asked:
                break
            for path in asked:
                answers.give(path)
    except TimeoutError:
        run.cancel(reason="the test's time is up")
        run.wait()
        return Ended("running", error={"message": f"it still ran after {case.timeout:g} s"})
    result = run.snapshot()
    if not status.ended:
        run.cancel(reason="the test has ended")
        run.wait()
    failure = result.error if result.error is not None else status.error
    return Ended(status.state, result, failure, tuple(status.waiting_on), steps_of(pipeline.plan))


def _questions(status: RunStatus, case: Case) -> list[str]:
    """Return the steps with open questions that the case answers. An answer may not have taken effect yet."""
    return [step.path for step in status.active if step.question and _is_answered(step.path, case)]


def _is_answered(path: str, case: Case) -> bool:
    return path in case.answers or without_brackets(path) in case.answers


def _answer(path: str, case: Case) -> Any:
    return case.answers[path] if path in case.answers else case.answers[without_brackets(path)]
