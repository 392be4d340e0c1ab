"""What pytest gets from Orchestrator: fixtures, and the cases of `*.test.yaml` files as tests.

It is loaded with every pytest where Orchestrator is installed, and so loads nothing else before it is used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.models.clients.fake import FakeModel
    from orchestrator.models.recordings.clients import RecordingClient, ReplayClient
    from orchestrator.testing.case import Case
    from orchestrator.testing.files import CaseFile
    from orchestrator.testing.runner import Setting

_SUFFIX: Final = ".test.yaml"
_CASES: Final = re.compile(r"^cases:", re.MULTILINE)
_RECORD: Final = "--orchestrator-record"
_IN_PLACE: Final = "--orchestrator-in-place"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("orchestrator")
    group.addoption(
        _RECORD,
        action="store_true",
        help="call the models, and replace the recordings that tests replay",
    )
    group.addoption(
        _IN_PLACE,
        action="store_true",
        help="run the cases of *.test.yaml files in the project's folder, not each in a temporary copy of it",
    )


@pytest.fixture
def fake_model() -> FakeModel:
    """A model that answers as scripted: `fake_model.script({"draft": "A draft."})`, else with samples."""
    from orchestrator.models.clients.fake import FakeModel

    return FakeModel()


@pytest.fixture
def orchestrator_models(request: pytest.FixtureRequest) -> Iterator[ReplayClient | RecordingClient]:
    """Replays the recordings of this test, below `recordings/` next to its file; pass it to `Orchestrator(models=...)`.

    With `pytest --orchestrator-record` it calls the models, and records their answers.
    """
    from orchestrator.models.recordings.clients import remove_others
    from orchestrator.testing.recordings import record, replay

    name = re.sub(r"[^\w-]+", "-", request.node.name).strip("-")
    directory = request.path.parent / "recordings" / request.path.stem / name
    if request.config.getoption(_RECORD):
        recorder = record(directory, project=request.config.rootpath)
        yield recorder
        remove_others(directory, recorder.written)
    else:
        yield replay(directory, again=f"pytest {_RECORD} {request.node.nodeid}")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect test files: those called so that have `cases`."""
    if not file_path.name.endswith(_SUFFIX) or not _CASES.search(file_path.read_text("utf-8", errors="replace")):
        return None
    found: TestFile = TestFile.from_parent(parent, path=file_path)
    return found


class TestFile(pytest.File):
    """A file of cases."""

    __test__ = False

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the cases.

        Raises:
            CollectError: The file or its pipeline is wrong.
        """
        from orchestrator.diagnostics import render_text
        from orchestrator.testing.runner import Setting, load

        option = self.config.getoption
        setting = Setting(self.config.rootpath, update=bool(option(_RECORD)), in_place=bool(option(_IN_PLACE)))
        file = load(self.path, setting)
        if any(problem.severity == "error" for problem in file.diagnostics):
            raise self.CollectError(render_text(file.diagnostics))
        for case in file.cases:
            yield TestCase.from_parent(self, name=case.name, file=file, case=case, setting=setting)


class TestCase(pytest.Item):
    """One case."""

    __test__ = False

    def __init__(self, *, file: CaseFile, case: Case, setting: Setting, **given: Any) -> None:
        super().__init__(**given)
        self._file = file
        self._case = case
        self._setting = setting

    def runtest(self) -> None:
        """Carry the case out."""
        from orchestrator.testing.runner import run_case

        outcome = run_case(self._file, self._case, self._setting)
        if outcome.end == "skipped":
            pytest.skip("; ".join(outcome.reasons))
        if outcome.end == "failed":
            raise _NotAsExpected("\n".join(outcome.reasons))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what was not as expected, without a traceback."""
        if isinstance(excinfo.value, _NotAsExpected):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file, line and name of the case."""
        return self.path, self._case.line - 1, self.name


class _NotAsExpected(Exception):
    pass
