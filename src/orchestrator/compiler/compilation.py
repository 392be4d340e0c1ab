"""Checks a pipeline file and turns it into a plan: every mistake is reported in one pass."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.compiler.calls import CallChecker, static_type
from orchestrator.compiler.findings import Findings
from orchestrator.compiler.flow import Edge, Flow, add_declared, add_jumps, report_cycles, report_unknown_step
from orchestrator.compiler.names import RESERVED, Environment, Target, input_type, step_type
from orchestrator.compiler.plan import OnFailure, OutputPlan, Plan, Retry, StepPlan, ToolCall
from orchestrator.compiler.policies import check_retry
from orchestrator.compiler.templates import PlacedTemplate, TemplateReader, child
from orchestrator.compiler.usage import report_usage
from orchestrator.diagnostics import Diagnostic, sort
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY, Constant, Template, Type, Value, fits
from orchestrator.expressions.types import describe
from orchestrator.language import Document, read
from orchestrator.language.nodes import Mapping, Scalar
from orchestrator.language.spec import StepSpec
from orchestrator.tools.contract import Action, Tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as MappingABC
    from pathlib import Path

    from orchestrator.language.spec import OutputSpec
    from orchestrator.tools import Permissions, Registry


@dataclass(frozen=True, slots=True)
class Compilation:
    """The outcome of checking one file: all diagnostics in the file's order, and the plan if there is no error."""

    document: Document
    diagnostics: tuple[Diagnostic, ...]
    plan: Plan | None

    @property
    def ok(self) -> bool:
        """Whether the pipeline can run."""
        return self.plan is not None


@dataclass(slots=True)
class StepParts:
    """What is known of one step while the file is checked."""

    spec: StepSpec
    call: tuple[Tool, Action] | None = None
    parameters: Value = field(default_factory=lambda: Constant({}))
    condition: Template | None = None
    fallback: Value | None = None
    templates: list[PlacedTemplate] = field(default_factory=list)
    guards: list[PlacedTemplate] = field(default_factory=list)


_ABOUT_ABSENCE = frozenset({"ORC210", "ORC301", "ORC302", "ORC306", "ORC404", "ORC501", "ORC504"})


def compile_pipeline(
    source: str | Path | MappingABC[str, Any],
    *,
    registry: Registry,
    permissions: Permissions,
    directory: Path | None = None,
    name: str | None = None,
) -> Compilation:
    """Read, check and plan a pipeline. Has no side effects, and never raises for a wrong pipeline.

    Args:
        source: a path, YAML text, or a mapping.
        registry: the tools that steps can call.
        permissions: what those tools may do; calls that would be refused are reported where their values are known.
        directory: where the run's relative paths will start; default the permissions' directory.
        name: the name of the source in diagnostics; default the path, or `<text>`.
    """
    with _without_collection():
        document = read(source, name=name)
        compiler = _Compiler(document, registry, permissions)
        compiler.check()
        found = compiler.findings.diagnostics
        if document.partial:  # what seems missing may stand in the part that could not be read
            found = [diagnostic for diagnostic in found if diagnostic.code not in _ABOUT_ABSENCE]
        diagnostics = tuple(sort(found))
        wrong = any(diagnostic.severity == "error" for diagnostic in diagnostics)
        plan = None if wrong else compiler.plan(directory or permissions.directory)
        return Compilation(document, diagnostics, plan)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the search for garbage in cycles: nearly all that a compilation makes lives on in its plan.

    Searching it again and again took half of the time of 10,000 steps, and made it grow faster than the steps do.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Compiler:
    """One pass over one document. The order of `check` is the order in which facts become known."""

    def __init__(self, document: Document, registry: Registry, permissions: Permissions) -> None:
        self.document = document
        self.spec = document.spec
        self.findings = Findings(document.source, document.diagnostics)
        self.calls = CallChecker(self.findings, registry, permissions)
        self.environment = Environment()
        self.flow = Flow()
        self.ids: dict[str, int] = {}
        for position, step in enumerate(self.spec.steps):
            if step.id:
                self.ids.setdefault(step.id, position)
        names = (*self.ids, *self.spec.inputs, *self.spec.variables)
        self.templates = TemplateReader(self.findings, frozenset(name for name in names if "-" in name))
        self.variables: dict[str, Value] = {}
        self.steps = [StepParts(step) for step in self.spec.steps]
        self.outputs: dict[str, OutputPlan] = {}
        self.types: dict[int, Type] = {}
        self.read: set[Target] = set()
        self.shared: set[str] = set()
        self.output_templates: list[tuple[str, PlacedTemplate]] = []

    def check(self) -> None:
        """Find every mistake."""
        self._names()
        self._variables()
        for step in self.steps:
            self._resolve(step)
        env = self.environment.types()
        for step in self.steps:
            self._step(step, env)
        check_retry(child(self.spec.node, "defaults", "retry"), self.findings)
        add_declared(self.flow, self.spec.steps, self.ids, self.findings)
        add_jumps(self.flow, self.spec.steps, self.ids, self.findings)
        report_cycles(self.flow, list(self.ids), self.findings)
        for name, output in self.spec.outputs.items():
            self._output(name, output, env)
        report_usage(
            self.spec,
            self.steps,
            self.output_templates,
            self.flow,
            self.environment,
            self.read,
            self.calls.directory,
            self.findings,
        )

    def _names(self) -> None:
        """Inputs, variables and steps share one namespace, and none may have a reserved name."""
        taken: dict[str, tuple[str, Any]] = {}
        named = [("input", name, child_key(self.spec.node, "inputs", name)) for name in self.spec.inputs]
        named += [("variable", name, child_key(self.spec.node, "variables", name)) for name in self.spec.variables]
        named += [
            ("step", step.id, node)
            for position, step in enumerate(self.spec.steps)
            if step.id and self.ids[step.id] == position and (node := child(step.node, "id")) is not None
        ]
        for kind, name, node in named:
            span = node.span if node is not None else self.spec.node.span
            if name in RESERVED:
                self.findings.add(
                    "ORC209",
                    span,
                    f"`{name}` cannot be the name of {_a(kind)}: it has a meaning of its own",
                    label="reserved",
                    help=f"choose another name, for example `my_{name}`",
                )
            elif name in taken:
                other, where = taken[name]
                self.shared.add(name)
                self.findings.add(
                    "ORC211",
                    span,
                    f"the {kind} `{name}` has the same name as {_a(other)}, so `{{{{ {name} }}}}` could mean either",
                    label="the same name",
                    help="rename one of them",
                    related=[(f"the {other} is here", where)],
                )
            else:
                taken[name] = (kind, span)
        self.environment.inputs = {name: input_type(spec) for name, spec in self.spec.inputs.items()}
        for name in self.spec.inputs:
            self._constant_default(name)

    def _constant_default(self, name: str) -> None:
        node = child(self.spec.node, "inputs", name, "default")
        spec = self.spec.inputs[name]
        if node is not None and spec.secret and spec.default not in (None, ""):
            self.findings.add(
                "ORC205",
                node.span,
                f"the secret `{name}` has its value in the file, and the file is stored with every run",
                label="no longer a secret",
                help="remove the default; name an environment variable with `default_from_env:`, or give it with `-i`",
            )
        if isinstance(node, Scalar) and isinstance(node.value, str) and "{{" in node.value:
            self.findings.unreadable = True
            self.findings.add(
                "ORC205",
                node.span,
                f"the default of the input `{name}` is a constant; a template in it would never be evaluated",
                label="not evaluated",
                help="move the template to `variables:`, which may read inputs",
            )

    def _variables(self) -> None:
        """Variables may read inputs and the variables above them."""
        for name in self.spec.variables:
            node = child(self.spec.node, "variables", name)
            if node is None:
                continue
            places: list[PlacedTemplate] = []
            value = self.templates.value(node, places)
            env = {key: type for key, type in self.environment.types().items() if key not in ("steps", "run")}
            self._infer(places, env)
            self.variables[name] = value
            self.environment.variables[name] = static_type(value, self.types)
            self._note_reads(places)

    def _resolve(self, step: StepParts) -> None:
        """Find the step's tool, parse its templates, and enter its type under its id."""
        spec = step.spec
        step.call = self.calls.resolve(spec)
        parameters = child(spec.node, "parameters")
        if parameters is not None:
            step.parameters = self.templates.value(parameters, step.templates)
        fallback = child(spec.node, "on_failure", "value")
        if fallback is not None:
            step.fallback = self.templates.value(fallback, step.templates)
        condition = child(spec.node, "condition")
        if condition is not None:
            step.condition = self.templates.condition(condition, step.guards)
        if spec.id and spec.id not in self.environment.steps:
            action = step.call[1] if step.call else None
            self.environment.steps[spec.id] = step_type(action, fallback=step.fallback is not None)

    def _step(self, step: StepParts, env: MappingABC[str, Type]) -> None:
        """Check a step's expressions and its call, and add the edges that its references make."""
        placed = [*step.guards, *step.templates]
        self._infer(placed, env)
        self._note_reads(placed)
        for place in placed:
            for reference, scalar in place.references():
                target = self.environment.target(reference)
                span = scalar.span_of(reference.start, reference.end) if target is None else None
                if target is None:
                    self._unknown_step(reference.name, reference.path, span)
                elif target.kind == "step" and step.spec.id:
                    self._edge(step.spec.id, target.name, scalar, reference)
        check_retry(child(step.spec.node, "retry"), self.findings)
        if step.call is not None:
            step.parameters = self.calls.check(step.spec, *step.call, step.parameters, self.types)

    def _edge(self, step: str, on: str, scalar: Scalar, reference: Any) -> None:
        if step == on:
            if step in self.shared:
                return  # it may be the input of the same name that is read
            self.findings.add(
                "ORC304",
                scalar.span_of(reference.start, reference.end),
                f"step `{step}` reads its own result, which does not exist before it has run",
                label="itself",
                help="read an earlier step",
            )
        elif on not in self.flow.edges.get(step, ()):
            part = (reference.start, reference.end)
            self.flow.add(Edge(step, on, scalar, f"`{step}` reads `{on}`", part))

    def _unknown_step(self, name: str, path: tuple[str | int, ...], span: Any) -> None:
        if name != "steps" or not path or not isinstance(path[0], str):
            return
        message = f"there is no step `{path[0]}`"
        report_unknown_step(self.findings, "ORC302", span, message, path[0], self.ids, fix=False)

    def _infer(self, places: list[PlacedTemplate], env: MappingABC[str, Type]) -> None:
        for place in places:
            inference = place.template.infer(env)
            self.types[id(place.template)] = inference.type
            if inference.problems:
                self.findings.add_problems(place.scalar, inference.problems)
                # a misspelt name is not also a name that nothing reads
                meant = [problem.replacement for problem in inference.problems if problem.replacement]
                self.read.update(Target(kind, name) for name in meant for kind in ("input", "variable"))

    def _note_reads(self, places: list[PlacedTemplate]) -> None:
        for place in places:
            for reference in place.template.references:
                target = self.environment.target(reference)
                if target is not None:
                    self.read.add(target)
                if reference.name in self.shared:
                    self.read.update((Target("input", reference.name), Target("variable", reference.name)))
                elif target is None and reference.name == "inputs":  # the whole mapping is read
                    self.read.update(Target("input", name) for name in self.environment.inputs)
                elif target is None and reference.name == "variables":
                    self.read.update(Target("variable", name) for name in self.environment.variables)

    def _output(self, name: str, output: OutputSpec, env: MappingABC[str, Type]) -> None:
        """Check one output: its template, what it reads, and its declared type."""
        node = child(output.node, "value")
        if node is None:
            return
        places: list[PlacedTemplate] = []
        value = self.templates.value(node, places)
        self._infer(places, env)
        self._note_reads(places)
        self.output_templates.extend((name, place) for place in places)
        reads: dict[str, None] = {}
        for place in places:
            for reference, scalar in place.references():
                target = self.environment.target(reference)
                if target is None:
                    self._unknown_step(reference.name, reference.path, scalar.span_of(reference.start, reference.end))
                elif target.kind == "step":
                    reads[target.name] = None
        if isinstance(value, Constant):
            self._output_reads_nothing(name, value.value, node)
        declared = input_type(output.as_input()) if output.type else ANY
        actual = static_type(value, self.types)
        if not fits(actual, declared):
            self.findings.add(
                "ORC505",
                node.span,
                f"the output `{name}` is declared as {describe(declared)}, and its value is {describe(actual)}",
                label=f"expected {describe(declared)}",
                help="change the `type:` or convert the value",
                severity="error",
            )
        self.outputs[name] = OutputPlan(name, value, declared, output.description or "", tuple(reads))

    def _output_reads_nothing(self, name: str, value: Any, node: Any) -> None:
        word = value.strip() if isinstance(value, str) else ""
        known = word.split(".")[0] in self.ids or word in self.spec.inputs or word in self.spec.variables
        self.findings.add(
            "ORC506",
            node.span,
            f"the output `{name}` refers to nothing: it is the same constant in every run",
            label="a constant",
            help=f'did you mean `"{{{{ {word} }}}}"`?' if known else "refer to a step: `{{ step_id }}`",
            replacement=f'"{{{{ {word} }}}}"' if known else None,
        )

    def plan(self, directory: Path) -> Plan:
        """Build the plan of a pipeline without errors."""
        spec = self.spec
        defaults = spec.defaults
        plan = Plan(
            id=spec.id or "pipeline",
            name=spec.name or spec.id or "pipeline",
            description=spec.description or "",
            version=str(spec.version or ""),
            source_name=self.document.source.name,
            source_text=self.document.source.text,
            directory=directory,
            digest="",
            steps=tuple(self._step_plan(step) for step in self.steps),
            inputs=dict(spec.inputs),
            variables=self.variables,
            outputs=self.outputs,
            max_parallel=defaults.max_parallel if defaults else None,
            metadata=spec.metadata or {},
        )
        return plan.with_digest()

    def _step_plan(self, step: StepParts) -> StepPlan:
        spec = step.spec
        defaults = self.spec.defaults
        if step.call is None:
            raise OrchestratorError(f"step `{spec.id}` has no work, and was not reported")
        tool, action = step.call
        retry = spec.retry or (defaults.retry if defaults else None)
        timeout = spec.timeout if spec.timeout is not None else (defaults.timeout if defaults else None)
        kind = spec.on_failure.kind if spec.on_failure else "fail"
        jumps = self.flow.jumps.get(spec.id, {})
        return StepPlan(
            id=spec.id,
            work=ToolCall(tool, action, step.parameters),
            name=spec.name or spec.id,
            description=spec.description or "",
            dependencies=self.flow.dependencies(spec.id),
            condition=step.condition,
            retry=Retry(**retry.model_dump(exclude_none=True)) if retry else Retry(),
            timeout=timeout,
            on_failure=OnFailure(kind, value=step.fallback, target=jumps.get("on_failure")),
            on_success=jumps.get("on_success"),
            on_false=jumps.get("on_false"),
            skips=self.flow.skips.get(spec.id, {}),
            metadata=spec.metadata or {},
            line=spec.node.span.start.line,
        )


def child_key(node: Any, section: str, name: str) -> Any:
    """The key scalar of `name` in a section of the file."""
    part = child(node, section)
    return part.key(name) if isinstance(part, Mapping) else None


def _a(kind: str) -> str:
    return f"an {kind}" if kind == "input" else f"a {kind}"
