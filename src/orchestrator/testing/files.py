"""Reads `*.test.yaml`: the cases of a file, and a diagnostic for each problem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from msgspec import Struct
from msgspec.structs import replace

from orchestrator import codes, errors
from orchestrator.diagnostics import Diagnostic, Source, Span, sort_diagnostics, suggest
from orchestrator.errors import ConfigurationError, ModelError, StepError
from orchestrator.language.yaml.nodes import Mapping as MappingNode
from orchestrator.language.yaml.nodes import Node, Scalar, Sequence, plain_data
from orchestrator.language.yaml.reader import read_tree
from orchestrator.models.actions.agent import offered_name
from orchestrator.models.budget import Budget
from orchestrator.models.messages import ToolRequest
from orchestrator.remedies import RunFile, RunTests
from orchestrator.testing.case import Case, Kind, Models
from orchestrator.testing.expectation_reader import ExpectChecks
from orchestrator.testing.reader import Named, file_problem
from orchestrator.text.content import path_kind, read_content
from orchestrator.text.durations import parse_duration
from orchestrator.text.words import describe_value, quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SUFFIX: Final = ".test.yaml"

_FILE_KEYS: Final = ("pipeline", "tools", "models", "inputs", "stub", "in_place", "cases")
_CASE_KEYS: Final = ("name", "inputs", "models", "budget", "stub", "answers", "timeout", "in_place", "expect")
_MAX_BYTES: Final = 8 * 1024 * 1024
_TIMEOUT: Final = 300.0
_LIMITS: Final = ("usd", "tokens", "requests")
_ERRORS: Final[Mapping[str, type[StepError]]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, StepError)
}


class CaseFile(Struct, frozen=True):
    """A test file as it was read. `names` are to be compared with the pipeline's; `tools` are files with tools."""

    path: Path
    source: Source
    pipeline: Path
    cases: tuple[Case, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    names: tuple[Named, ...] = ()
    pipeline_place: Node | None = None
    tools: tuple[Path, ...] = ()


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Return the test files that paths name or contain, in alphabetical order, each once.

    Raises:
        ConfigurationError: A path does not exist.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if path_kind(path) == "directory":
            for file in sorted(path.rglob(f"*{SUFFIX}")):
                if not any(part.startswith(".") or part == "node_modules" for part in file.relative_to(path).parts):
                    found.setdefault(file.resolve(), file)
        elif path_kind(path) is not None:
            found.setdefault(path.resolve(), path)
        else:
            raise ConfigurationError(f"test file or directory `{path}` does not exist", help="check the path")
    return list(found.values())


def read_file(path: Path) -> CaseFile:
    """Read a test file. Never raises for wrong content: mistakes are in `diagnostics`."""
    name = str(path)
    default = path.with_name(path.name.removesuffix(SUFFIX) + ".yaml")
    try:
        text = read_content(path, _MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        source = Source.of(name, "")
        message = f"`{name}` cannot be read: {reason.lower()}"
        return CaseFile(
            path, source, default, diagnostics=(Diagnostic(codes.INVALID_TEST_FILE, message, source, Span.at(1, 1)),)
        )
    return _CaseReader(path, Source.of(name, text.removeprefix("\ufeff"))).file(default)


class _CaseReader(ExpectChecks):
    """Reads one file, and continues after each problem."""

    def __init__(self, path: Path, source: Source) -> None:
        super().__init__(source)
        self._path = path

    def file(self, default: Path) -> CaseFile:
        reading = read_tree(self.source)
        if reading.root is None:
            found = [
                replace(each, message=_NO_MAPPING, help=_BEGIN) if each.code == codes.NOT_A_MAPPING else each
                for each in reading.diagnostics
            ]
            return CaseFile(self._path, self.source, default, diagnostics=tuple(found))
        root = reading.root
        if "steps" in root.table and "cases" not in root.table:
            return CaseFile(self._path, self.source, default, diagnostics=(self._not_tests(root.table["steps"].key),))
        self.only(root, _FILE_KEYS, "a test file")
        pipeline = self.text(root, "pipeline", "the path of the pipeline's file")
        tools = self._tools(root.get("tools"))
        models = self._models(root.get("models"), self._models_of("replay"))
        inputs = self._inputs(root)
        stub = self._stub(root)
        in_place = self.flag(root, "in_place", default=False)
        cases = self._cases(root, models, inputs, stub, in_place)
        diagnostics = tuple(sort_diagnostics([*reading.diagnostics, *self.found]))
        path = self._path.parent / pipeline if pipeline else default
        place = root.get("pipeline") or next((entry.key for entry in root.entries), None)
        return CaseFile(self._path, self.source, path, cases, diagnostics, tuple(self.names), place, tools)

    def _not_tests(self, steps: Node) -> Diagnostic:
        """Report that the file is a pipeline."""
        tests = self._path.with_name(f"{self._path.stem}{SUFFIX}")
        found = file_problem(
            self.source,
            steps,
            f"`{self._path.name}` is a pipeline, not a test file",
            f"its cases are in `{tests.name}`" if tests.is_file() else f"write its cases into `{tests.name}`",
            label="the steps of a pipeline",
        )
        return replace(found, remedies=(RunTests(str(tests)) if tests.is_file() else RunFile(str(self._path)),))

    def _tools(self, node: Node | None) -> tuple[Path, ...]:
        """Return the files with custom tools, relative to the test file."""
        nodes = node.items if isinstance(node, Sequence) else () if node is None else (node,)
        found = []
        for each in nodes:
            path = self._path.parent / str(plain_data(each))
            if isinstance(each, Scalar) and path.suffix == ".py" and path.is_file():
                found.append(path)
            else:
                help = "name a file next to the test file, such as `tools: tools.py`, or several in a list"
                self.add(each, f"{describe_value(plain_data(each))} is not a file with tools", help)
        return tuple(found)

    def _cases(
        self, root: MappingNode, models: Models, inputs: Mapping[str, Any], stub: Mapping[str, Any], in_place: bool
    ) -> tuple[Case, ...]:
        node = root.get("cases")
        if not isinstance(node, Sequence) or not node.items:
            place = node or next((entry.key for entry in root.entries), root)
            self.add(place, "a test file needs a list of `cases`", _BEGIN)
            return ()
        cases: list[Case] = []
        names: dict[str, Node] = {}
        for number, item in enumerate(node.items, start=1):
            if not isinstance(item, MappingNode):
                self.mistyped(item, f"case {number}", "a mapping with `inputs` and `expect`")
                continue
            case = self._case(item, number, models, inputs, stub, in_place)
            if case.name in names:
                self.add(item.get("name") or item, f"two cases are called `{case.name}`", "give each its own name")
            names[case.name] = item
            cases.append(case)
        return tuple(cases)

    def _case(
        self,
        node: MappingNode,
        number: int,
        models: Models,
        inputs: Mapping[str, Any],
        stub: Mapping[str, Any],
        in_place: bool,
    ) -> Case:
        self.only(node, _CASE_KEYS, "a case")
        return Case(
            name=self.text(node, "name", "a text") or f"case {number}",
            inputs={**inputs, **self._inputs(node)},
            models=self._models(node.get("models"), models),
            stub={**stub, **self._stub(node)},
            answers=self._answers(node),
            timeout=self._duration(node),
            expect=self.expectations(node.get("expect")),
            line=node.span.start.line,
            budget=self._budget(node.get("budget")),
            in_place=self.flag(node, "in_place", default=in_place),
        )

    # --- inputs of a run

    def _inputs(self, node: MappingNode) -> dict[str, Any]:
        inputs = self.section(node, "inputs", "a mapping from the names of inputs to their values")
        self.names += [Named("input", entry.key.text, entry.key) for entry in inputs.entries]
        return {entry.key.text: plain_data(entry.value) for entry in inputs.entries}

    def _stub(self, node: MappingNode) -> dict[str, Any]:
        section = self.section(node, "stub", "a mapping from steps to what they give")
        self.note_steps(section, "call")
        return {entry.key.text: self._answer(entry.value) for entry in section.entries}

    def _answers(self, node: MappingNode) -> dict[str, Any]:
        section = self.section(node, "answers", "a mapping from steps to answers")
        self.note_steps(section, "question")
        return {entry.key.text: plain_data(entry.value) for entry in section.entries}

    def _models(self, node: Node | None, inherited: Models) -> Models:
        kinds = get_args(Kind)
        if node is None:
            return inherited
        if isinstance(node, Scalar) and node.value in kinds:
            return self._models_of(node.value)
        if isinstance(node, MappingNode) and len(node.table) == 1:
            (entry,) = node.entries
            kind, value = entry.key.text, entry.value
            if kind == "fake" and isinstance(value, MappingNode):
                self.note_steps(value)
                answers = {each.key.text: self._script(each.value) for each in value.entries}
                return Models("fake", answers=answers)
            if kind == "replay" and isinstance(value, Scalar) and isinstance(value.value, str):
                return Models("replay", self._path.parent / value.value)
        near = suggest(str(node.value), kinds) if isinstance(node, Scalar) else None
        self.add(
            node,
            f"`models` must name the source of answers, not {describe_value(plain_data(node))}",
            f"did you mean `{near}`?" if near else _KINDS,
        )
        return inherited

    def _models_of(self, kind: Kind) -> Models:
        return Models(kind, self._path.parent / "recordings")

    def _script(self, node: Node) -> Any:
        """Return the script of a step: an answer, or a list of answers."""
        if isinstance(node, Sequence):
            return [self._answer(item) for item in node.items]
        return self._answer(node)

    def _answer(self, node: Node) -> Any:
        """Return an answer, with the errors and requests for tools that it may be."""
        if not isinstance(node, MappingNode):
            return plain_data(node)
        if node.table.keys() <= {"raise", "message"} and "raise" in node.table:
            name, message = plain_data(node.table["raise"].value), node.get("message")
            kind = _ERRORS.get(str(name))
            if kind is None:
                near = suggest(str(name), _ERRORS)
                help = f"did you mean `{near}`?" if near else f"for example `ModelRefused`; {_of_models()}"
                self.add(node.table["raise"].value, f"unknown error `{name}`", help)
                return StepError("unknown")
            return _made(kind, str(plain_data(message)) if message is not None else "raised by a test")
        if node.table.keys() == {"call", "with"}:
            arguments = plain_data(node.table["with"].value)
            name = str(plain_data(node.table["call"].value)).removeprefix("mcp:")
            return ToolRequest("call", offered_name(name, ()), arguments)
        return plain_data(node)

    def _budget(self, node: Node | None) -> Budget | None:
        """Return a budget: an amount of USD, or some of `usd`, `tokens` and `requests`."""
        if node is None:
            return None
        if isinstance(node, MappingNode):
            self.only(node, _LIMITS, "`budget`")
            usd, tokens, requests = (self.number(node, limit) for limit in _LIMITS)
            return Budget(usd, None if tokens is None else int(tokens), None if requests is None else int(requests))
        usd = plain_data(node)
        if isinstance(usd, int | float) and not isinstance(usd, bool) and usd >= 0:
            return Budget(usd)
        self.mistyped(node, "`budget`", "an amount of USD, or `{usd: ..., tokens: ..., requests: ...}`")
        return None

    def _duration(self, node: MappingNode) -> float:
        value = node.get("timeout")
        if value is None:
            return _TIMEOUT
        try:
            return parse_duration(plain_data(value))
        except (ValueError, TypeError):
            self.mistyped(value, "`timeout`", "a duration such as `30s`")
            return _TIMEOUT


_NO_MAPPING: Final = "a test file is a mapping with `cases:`"
_KINDS: Final = "write `replay`, `fake`, `live`, or `{fake: {STEP: ANSWER}}`, `{replay: DIR}`"
_BEGIN: Final = "start with `cases:` and a list below it, such as `- {name: short, inputs: {...}, expect: {...}}`"


def _of_models() -> str:
    listed = [name for name, kind in _ERRORS.items() if issubclass(kind, ModelError)]
    return f"those of models are {quoted_list(listed)}"


def _made(kind: type[StepError], message: str) -> StepError:
    """Return an error of a kind, some of which need more than a message."""
    needed: dict[str, Any] = {"StepTimeout": {"seconds": 0.0}}
    return kind(message, **needed.get(kind.__name__, {}))
