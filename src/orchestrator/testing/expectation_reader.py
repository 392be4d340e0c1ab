"""Reads what a case expects."""

from __future__ import annotations

from typing import Any, Final, get_args

from orchestrator import codes
from orchestrator.diagnostics import Diagnostic, suggest
from orchestrator.expressions import ANY, parse_expression
from orchestrator.language.yaml.nodes import Mapping as MappingNode
from orchestrator.language.yaml.nodes import Node, Scalar, Sequence, plain_data
from orchestrator.patterns import PatternError, compile_pattern
from orchestrator.testing.case import Expectations, ExpectedStep, RunEnd, StepEnd
from orchestrator.testing.expectations import WAYS, Expectation
from orchestrator.testing.reader import UNUSABLE, Checks, Named
from orchestrator.testing.written import ExpectedFile, stays_inside
from orchestrator.text.words import quoted_list

_KEYS: Final = ("state", "outputs", "steps", "error", "expression", "cost_below", "models", "files")
_ERROR_KEYS: Final = ("code", "step", "message")


class ExpectChecks(Checks):
    """Reads `expect`."""

    def expectations(self, node: Node | None) -> Expectations:
        """Return what a case expects."""
        if node is None:
            return Expectations()
        if not isinstance(node, MappingNode):
            self.mistyped(node, "`expect`", "a mapping such as `{outputs: {summary: {contains: sun}}}`")
            return Expectations()
        self.only(node, _KEYS, "`expect`")
        outputs = self.section(node, "outputs", "a mapping from outputs to expected values")
        self.names += [Named("output", entry.key.text, entry.key) for entry in outputs.entries]
        steps = self.section(node, "steps", "a mapping from steps to expected results")
        self.note_steps(steps, "field")
        error = self._error(node.get("error"))
        default: RunEnd = "failed" if error else "succeeded"
        return Expectations(
            state=self.word(node, "state", get_args(RunEnd)) or default,
            outputs={entry.key.text: self._expected(entry.value) for entry in outputs.entries},
            steps={entry.key.text: self._step(entry.value) for entry in steps.entries},
            error=error,
            expressions=self._expressions(node.get("expression")),
            cost_below=self.number(node, "cost_below"),
            models=self.texts(node.get("models")),
            files=self._files(node),
        )

    def _files(self, node: MappingNode) -> dict[str, ExpectedFile]:
        section = self.section(
            node, "files", "a mapping from paths to expected contents, such as `{out.md: {contains: sun}}`"
        )
        found = {}
        for entry in section.entries:
            if stays_inside(entry.key.text):
                found[entry.key.text] = self._file(entry.value)
            else:
                help = "write a relative path without `..`, such as `output/report.md`"
                self.add(entry.key, f"`{entry.key.text}` does not name a file in the case's folder", help)
        return found

    def _file(self, node: Node) -> ExpectedFile:
        """Return the expectation for a file: its text, or whether it exists and comparisons of its text."""
        if not isinstance(node, MappingNode):
            if not isinstance(plain_data(node), str):
                self.mistyped(node, "a file", "its text, or a mapping such as `{contains: sun}`")
            return ExpectedFile(text=self._expected(node))
        self.only(node, (*WAYS, "within", "exists"), "an expected file")
        exists = self.flag(node, "exists", default=True)
        rest = node.without(["exists"])
        if not exists and rest.table:
            self.add(rest.entries[0].key, "a file that must not exist has no text", "leave out this key, or `exists`")
        return ExpectedFile(exists, self._expected(rest) if rest.table else None)

    def _step(self, node: Node) -> ExpectedStep:
        if isinstance(node, Scalar) and node.value in get_args(StepEnd):
            message = f"`{node.value}` could be the state of the step or its value"
            help = f"write `{{state: {node.value}}}`, or `{{equals: {node.value}}}` for the value"
            self.add(node, message, help, label="which one?")
            return ExpectedStep()
        if not isinstance(node, MappingNode) or "state" not in node.table:
            return ExpectedStep(value=self._expected(node))
        if not node.table.keys() <= {"state", "within", *WAYS}:
            return ExpectedStep(value=self._expected(node))
        state = self.word(node, "state", get_args(StepEnd))
        rest = node.without(["state"])
        return ExpectedStep(state, self._expected(rest) if rest.table else None)

    def _error(self, node: Node | None) -> dict[str, Expectation]:
        if node is None:
            return {}
        if isinstance(node, Scalar):
            return {"code": Expectation({"equals": node.value})}
        if not isinstance(node, MappingNode):
            self.mistyped(node, "`error`", "a code, or a mapping such as `{code: ORC724, step: draft}`")
            return {}
        self.only(node, _ERROR_KEYS, "`error`")
        return {e.key.text: self._expected(e.value) for e in node.entries if e.key.text in _ERROR_KEYS}

    def _expected(self, node: Node) -> Expectation:
        """Return the expectation for a value: the value itself, or a mapping of comparisons."""
        if not isinstance(node, MappingNode) or not node.table:
            return Expectation({"equals": plain_data(node)})
        unknown = [entry.key for entry in node.entries if entry.key.text not in (*WAYS, "within")]
        if len(unknown) == len(node.table):
            if len(unknown) == 1 and (near := suggest(unknown[0].text, WAYS)):
                self.add(
                    unknown[0],
                    f"unknown comparison `{unknown[0].text}`",
                    f"did you mean `{near}`? An object with this field is written `{{equals: {{...}}}}`",
                    fix=near,
                )
            return Expectation({"equals": plain_data(node)})
        for key in unknown:
            near = suggest(key.text, WAYS)
            help = f"did you mean `{near}`?" if near else "write an object that is expected as it is below `equals:`"
            self.add(key, f"unknown comparison `{key.text}`", help, fix=near)
        ways = {way: self._way(way, node.table[way].value) for way in WAYS if way in node.table}
        return Expectation(
            {way: wanted for way, wanted in ways.items() if wanted is not UNUSABLE}, self.number(node, "within")
        )

    def _way(self, way: str, node: Node) -> Any:
        value = plain_data(node)
        match way:
            case "matches":
                return self._pattern(node)
            case "expression":
                return self._one_expression(node)
            case "approx" if isinstance(value, bool) or not isinstance(value, int | float):
                return self.mistyped(node, "`approx`", "a number")
            case "schema":
                return self._schema(node)
        return value

    def _pattern(self, node: Node) -> Any:
        value = plain_data(node)
        if not isinstance(value, str):
            return self.mistyped(node, "`matches`", "a regular expression")
        try:
            compile_pattern(value, "python")
        except PatternError as error:
            message = f"`{value}` is not a regular expression that can be used: {error}"
            return self.add(node, message, error.help or "fix the expression")
        return value

    def _schema(self, node: Node) -> Any:
        from orchestrator.json_schema import faults

        value = plain_data(node)
        if not isinstance(value, dict | bool):
            return self.mistyped(node, "`schema`", "a JSON Schema")
        for fault in faults(value):
            place = f" at `{'.'.join(map(str, fault.path))}`" if fault.path else ""
            return self.add(node, f"this is not a JSON Schema{place}: {fault.message}", fault.help)
        return value

    def _expressions(self, node: Node | None) -> tuple[Expectation, ...]:
        if node is None:
            return ()
        found = [
            self._one_expression(item, whole=True) for item in (node.items if isinstance(node, Sequence) else [node])
        ]
        return tuple(Expectation({"expression": template}) for template in found if template is not UNUSABLE)

    def _one_expression(self, node: Node, *, whole: bool = False) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return self.mistyped(node, "`expression`", "an expression such as `value | length > 3`")
        template = parse_expression(node.value)
        names = ("inputs", "outputs") if whole else ("value", "inputs", "outputs")
        for problem in template.problems or template.infer(dict.fromkeys(names, ANY)).problems:
            self.found.append(
                Diagnostic(
                    codes.INVALID_TEST_FILE,
                    problem.message,
                    self.source,
                    node.span_of(problem.start, problem.end),
                    label=problem.label,
                    help=problem.help if template.problems else f"it can read {quoted_list(names)}",
                    remedies=problem.remedies if template.problems else (),
                )
            )
        return template
