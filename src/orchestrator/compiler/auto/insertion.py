"""`<AUTO>...</AUTO>` as a value: a step that asks a model for it is inserted before the step that needs it.

A step with such values gets one step before it, `draft:auto` before `draft`, which asks for all of them in one answer
whose schema follows from their places. The values are then read from that step; a value with an answer in the lock file
is that answer, as if it were written in the pipeline file.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from orchestrator import codes
from orchestrator.compiler.auto.lock_answers import LockAnswers, varies
from orchestrator.compiler.auto.places import (
    TEXT,
    AutoPlace,
    Schema,
    auto_places,
    dotted,
    is_prose,
    put,
    written_instead,
)
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.passes.calls import CallChecker
from orchestrator.compiler.passes.models import default_model
from orchestrator.expressions import parse_template
from orchestrator.language.spec.pipeline import OnFailureSpec, StepSpec
from orchestrator.language.syntax.quotes import line_end, quote_value
from orchestrator.language.values.auto_markup import END, Auto, MarkupProblem, Path, autos_of, tagged
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, literal, plain_data, text_at
from orchestrator.models.calls.lock_entries import KeptAnswer
from orchestrator.plan.auto_values import AutoValue, auto_id
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import BlockKind, SourceStep
    from orchestrator.diagnostics import Diagnostic, Span
    from orchestrator.expressions import Template

_NAME: Final = re.compile(r"[^A-Za-z0-9_]+")
_LONGEST_NAME: Final = 40
_NO_VALUE: Final = "not allowed here"
_NO_QUESTION: Final = "no question"


class _Question(Struct, frozen=True):
    """A question of the inserted step: its text in the file, the answer's type, and the answers in the lock file."""

    node: Scalar
    schema: Schema
    purpose: str
    at: str
    secret: bool
    kept: tuple[KeptAnswer, ...] = ()


class _StepQuestions(Struct):
    """The `<AUTO>` values of one step: the questions by the names of the values, and the nodes that replace them."""

    spec: StepSpec
    questions: dict[str, _Question] = field(default_factory=dict)
    replaced: list[tuple[Path, Node]] = field(default_factory=list)

    def name(self, path: Path, question: _Question) -> str:
        """Add a question, and return the name of its value."""
        words = [part for part in path if isinstance(part, str)]
        base = _NAME.sub("_", words[-1])[:_LONGEST_NAME].strip("_") or "value"
        base = base if not base[0].isdigit() else f"value_{base}"
        name, number = base, 1
        while name in self.questions:
            number += 1
            name = f"{base}_{number}"
        self.questions[name] = question
        return name


class FileAutos:
    """The `<AUTO>` values of one file. `values` are those in allowed places."""

    def __init__(self, context: CompilationContext) -> None:
        self._context = context
        self.values: list[AutoValue] = []
        self._settled: set[int] = set()
        self._misplaced: list[Scalar] = []
        self._rests: list[Scalar] = []
        self._places: set[str] = set()
        self._answers = LockAnswers(context)
        self._from_lock: list[Scalar] = []

    @property
    def lock(self) -> tuple[str, str] | None:
        """The key and the text of the lock; None if it does not exist."""
        return self._answers.content

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """The diagnostics of the lock."""
        return self._answers.diagnostics

    # --- before the steps are read

    def expanded(self, specs: Sequence[StepSpec], kind: BlockKind, owner: SourceStep | None) -> list[StepSpec]:
        """Return the steps of a block, with the inserted steps before those that need them."""
        around = [part.id for part in owner.ancestors()][::-1] if owner is not None else []
        if kind == "handler":
            around.append("on_error" if owner is not None else "error_handlers")
        elif kind in ("finally", "undo"):
            around.append(kind)
        within = ".".join(around)
        counted = owner is not None and kind == "parallel" and owner.spec.wait_for not in (None, "all")
        found: list[StepSpec] = []
        for spec in specs:
            asking = _StepQuestions(spec)
            for auto_place in auto_places(self._context, spec):
                self._fill(auto_place, asking, f"{within}.{spec.id}" if within else spec.id)
            if asking.replaced:
                spec = _replaced(spec, asking.replaced)
            if asking.questions and spec.id:
                found.append(self._step(asking, counted=counted))
            found.append(spec)
        return found

    def _fill(self, auto_place: AutoPlace, asking: _StepQuestions, step: str) -> None:
        """Determine what replaces a text."""
        text, scalar = auto_place.scalar.text, auto_place.scalar
        autos = autos_of(text)
        self._settled.add(scalar.start)
        if not autos:  # it only looks like one
            return
        if auto_place.refused:  # reported first: a malformed tag need not be fixed where none is allowed
            what = f"`{dotted(auto_place.path[1:])}` of `{asking.spec.id}` must be known before the run"
            self._refuse(scalar, scalar.span, f"{what}, so it cannot be an `<AUTO>`", auto_place.refused)
            return
        if isinstance(autos, MarkupProblem):
            self._malformed(scalar, autos)
            return
        whole = len(autos) == 1 and not (text[: autos[0].start] + text[autos[0].end :]).strip()
        if auto_place.whole and not whole:
            message = f"an `<AUTO>` for {auto_place.purpose} must be the whole value"
            help = "write a single `<AUTO>...</AUTO>` and nothing else"
            self._refuse(scalar, scalar.span, message, help, "more than an `<AUTO>`")
            return
        parts: list[tuple[str, int, int]] = []
        last = 0
        for auto in autos:
            if self._reads_an_item(auto_place, auto, asking.spec):
                return
            question = self._question(auto_place, auto, auto_place.schema if whole else TEXT, step)
            answer = self._constant(question)
            if whole and answer is not None:
                self._from_lock.append(scalar)
                asking.replaced.append((auto_place.path, literal(scalar, answer.answer)))
                self._enter(question, "value", answer)
                return
            if answer is not None:
                instead = _as_text(answer.answer)
                self._enter(question, "value", answer)
            else:
                name = asking.name(_without_value(auto_place.path), question)
                instead = f"{{{{ steps['{auto_id(asking.spec.id)}'].data.{name} | required('no model returned it') }}}}"
                self._enter(question, name, None, self._asks(asking.spec, name, question))
            parts += [(text[last : auto.start], last, auto.start), (instead, auto.start, auto.end)]
            last = auto.end
        if whole:
            parts = [parts[1]]
        else:
            parts.append((text[last:], last, len(text)))
        asking.replaced.append((auto_place.path, scalar.made_of(part for part in parts if part[0])))

    def _reads_an_item(self, auto_place: AutoPlace, auto: Auto, spec: StepSpec) -> bool:
        """Report a question that reads the item of a loop, before which it would be asked."""
        if not auto_place.item_names:
            return False
        question = auto_place.scalar.made_of([(auto_place.scalar.text[auto.first : auto.last], auto.first, auto.last)])
        for reference in parse_template(question.text).references:
            if reference.name in auto_place.item_names:
                self._refuse(
                    auto_place.scalar,
                    question.span_of(reference.start, reference.end),
                    f"this is asked once, before the loop `{spec.id}`; `{reference.name}` is known only for each item",
                    "move this step into the `steps:` of the loop, so that it is asked for each item",
                )
                return True
        return False

    def _question(self, auto_place: AutoPlace, auto: Auto, schema: Schema, step: str) -> _Question:
        node = auto_place.scalar.made_of([(auto_place.scalar.text[auto.first : auto.last], auto.first, auto.last)])
        at = base = f"{step}.{dotted(_without_value(auto_place.path))}"
        number = 1
        while at in self._places:
            number += 1
            at = f"{base}#{number}"
        self._places.add(at)
        secret = varies(node.text) and _reads_any(parse_template(node.text), self._secrets)
        kept = self._answers.find(at, node.text, schema, auto_place.scalar.span_of(auto.start, auto.end), secret=secret)
        return _Question(node, schema, auto_place.purpose, at, secret, kept)

    @cached_property
    def _secrets(self) -> set[str]:
        """The secret inputs of the file, and the variables that read one."""
        found = {name for name, spec in self._context.spec.inputs.items() if spec.secret}
        for name, value in self._context.variables.items():  # each reads those above it
            if any(_reads_any(template, found) for template in value.templates()):
                found.add(name)
        return found

    @staticmethod
    def _constant(question: _Question) -> KeptAnswer | None:
        return question.kept[0] if question.kept and not varies(question.node.text) else None

    def _enter(
        self, question: _Question, name: str, locked: KeptAnswer | None, asks: dict[str, Any] | None = None
    ) -> None:
        text = question.node.text
        asks = None if locked is not None else asks
        self.values.append(AutoValue(question.at, text, question.schema, varies(text), asks, locked, question.secret))

    def _asks(self, spec: StepSpec, name: str, question: _Question) -> dict[str, Any] | None:
        """Return the parameters of a call that asks for one value alone, None if they are known only during a run."""
        if varies(question.node.text):
            return None
        node = self._model(spec) or default_model(self._context, "model", "auto")
        model = {} if node is None else {"model": plain_data(node)}
        return {**_constants(self._context, spec, {name: question}), "questions": {name: question.node.text}, **model}

    def _model(self, spec: StepSpec) -> Node | None:
        """Return the node that names the model for the values of a step, None for the default of the file."""
        context = self._context
        if context.spec.judge_model is not None:
            return context.spec.node.get("judge_model")
        own = child(spec.node, "parameters", "model")
        known = own is not None and "{" not in json.dumps(plain_data(own)) and not list(tagged(own))
        return own if known and _asks_models(context, spec) else None

    def _step(self, asking: _StepQuestions, *, counted: bool) -> StepSpec:
        """Return the inserted step. `counted`: its block tolerates failures while enough other steps can succeed."""
        spec, node = asking.spec, asking.spec.node
        place: Node = next(iter(asking.questions.values())).node
        questions = {name: Entry(text_at(place, name), question.node) for name, question in asking.questions.items()}
        entries: dict[str, Node] = {"questions": Mapping(questions, place.start, place.end, place.layout)}
        for name, value in _constants(self._context, spec, asking.questions).items():
            entries[name] = literal(place, value)
        kept = {
            name: {answer.asked: {"answer": answer.answer, "model": answer.model} for answer in question.kept}
            for name, question in asking.questions.items()
            if question.kept
        }
        if kept:
            entries["locked"] = literal(place, kept)
        if (model := self._model(spec)) is not None:
            entries["model"] = model
        table = {name: Entry(text_at(place, name), value) for name, value in entries.items()}
        id = auto_id(spec.id)
        body: dict[str, Entry] = {
            "id": Entry(text_at(place, "id"), text_at(place, id)),
            "tool": Entry(text_at(place, "tool"), text_at(place, "model")),
            "action": Entry(text_at(place, "action"), text_at(place, "auto")),
            "parameters": Entry(text_at(place, "parameters"), Mapping(table, place.start, place.end, place.layout)),
        }
        same = ["dependencies"]
        if not any(path == ("condition",) for path, _ in asking.replaced):
            same.append("condition")
        body |= {key: node.table[key] for key in same if key in node.table}
        made = StepSpec(
            id=id,
            tool="model",
            action="auto",
            parameters={name: plain_data(entry.value) for name, entry in table.items()},
        )
        tolerant = spec.on_error is not None or (spec.on_failure is not None and spec.on_failure.kind != "fail")
        more: dict[str, Any] = {
            "budget": spec.budget,
            "description": f"asks for the values that `{spec.id}` leaves to a model",
        }
        if tolerant or counted:
            more["on_failure"] = OnFailureSpec(kind="continue")  # the step itself then fails for want of a value
        made = made.model_copy(update=more)
        made.at(Mapping(body, place.start, place.end, place.layout))
        return made

    # --- after all steps have been checked

    def _refuse(self, scalar: Scalar, span: Span, message: str, help: str, label: str = _NO_VALUE) -> None:
        self._misplaced.append(scalar)
        self._context.diagnostics.unreadable = True
        self._context.diagnostics.add(codes.MISPLACED_AUTO, span, message, label=label, help=help)

    def _malformed(self, scalar: Scalar, mistake: MarkupProblem) -> None:
        """Report malformed tags."""
        help = mistake.help
        if mistake.unclosed and (cut := _cut_off(scalar)) is not None:
            help = f"put the whole value in quotes: `{shorten(quote_value(cut))}`"
            self._rests.append(scalar)
        self._refuse(scalar, scalar.span_of(mistake.start, mistake.end), mistake.message, help, _NO_QUESTION)

    def _is_rest(self, scalar: Scalar) -> bool:
        """Return whether YAML cut a text off from an unquoted `<AUTO>` earlier on its line."""
        return any(
            cut.end < scalar.start and "\n" not in scalar.layout.text[cut.end : scalar.start] for cut in self._rests
        )

    def report(self) -> None:
        """Report each `<AUTO>` where it is not allowed, and drop the diagnostics that follow from it."""
        context, diagnostics = self._context, self._context.diagnostics
        lost = {d.span.start for d in diagnostics.items if d.severity == "error"}
        for path, scalar, keys in tagged(context.document.root) if context.document.root is not None else ():
            if scalar.start in self._settled or is_prose(path) or any(key.span.start in lost for key in keys):
                continue
            found = autos_of(scalar.text)
            if not found or (isinstance(found, MarkupProblem) and self._is_rest(scalar)):
                continue
            words = [part for part in path if isinstance(part, str)]
            where = f"`{words[-1]}`" if words else "this"
            is_key = child(context.document.root, *path) is not scalar
            message = "a key cannot be an `<AUTO>`" if is_key else f"{where} cannot be an `<AUTO>`"
            first = found if isinstance(found, MarkupProblem) else found[0]
            self._refuse(scalar, scalar.span_of(first.start, first.end), message, written_instead(path))
        for scalar in self._misplaced:
            diagnostics.keep_only(codes.MISPLACED_AUTO, scalar.span)
        for cut in self._rests:
            diagnostics.keep_only(codes.MISPLACED_AUTO, cut.layout.span(cut.start, line_end(cut.layout.text, cut.end)))
        self._answers.report_unasked(self._places)


def _constants(context: CompilationContext, spec: StepSpec, questions: dict[str, _Question]) -> dict[str, Any]:
    """Return the parameters that are the same in every run: the types, places and purposes of the values."""
    properties = {name: {**question.schema, "description": question.purpose} for name, question in questions.items()}
    return {
        "schema": _whole(properties),
        "at": {name: question.at for name, question in questions.items()},
        "about": _about(context, spec),
    }


def _whole(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _about(context: CompilationContext, spec: StepSpec) -> str:
    """Describe the purpose of a pipeline and of one of its steps."""
    pipeline = context.spec.name or context.spec.id or ""
    lines = [
        ("The pipeline", pipeline, context.spec.description),
        ("The step", spec.name or spec.id, spec.description),
    ]
    return "\n".join(
        f"{what} `{name}`" + (f": {' '.join(about.split())}" if about else "") for what, name, about in lines
    )


def _asks_models(context: CompilationContext, spec: StepSpec) -> bool:
    found = CallChecker(context).find(spec)
    return isinstance(found, tuple) and found[1].uses_model


def _reads_any(template: Template, names: set[str]) -> bool:
    """Return whether a template reads one of these inputs and variables, or all inputs or variables at once."""
    for reference in template.references:
        name: str | int | None = reference.name
        if name in ("inputs", "variables"):
            name = reference.path[0] if reference.path else None
        if name in names or (name is None and names):
            return True
    return False


def _cut_off(scalar: Scalar) -> str | None:
    """Return the whole value if YAML ended an unquoted one before its `</AUTO>` (at a comma, `: ` or ` #`)."""
    if scalar.style:
        return None
    text = scalar.layout.text
    line = text[scalar.start : line_end(text, scalar.end)]
    end = line.find(END, scalar.end - scalar.start)
    return None if end < 0 else line[: end + len(END)]


def _without_value(path: Path) -> Path:
    return path[:1] + path[2:] if path[:2] == ("for_each", "value") else path


def _as_text(answer: str) -> str:
    """Return an answer as part of a text with templates, with its braces escaped."""
    if "{" not in answer:
        return answer
    quote_value = json.dumps(answer, ensure_ascii=False).replace("{", "\\u007b").replace("}", "\\u007d")
    return f"{{{{ {quote_value} }}}}"


def _replaced(spec: StepSpec, parts: Iterable[tuple[Path, Node]]) -> StepSpec:
    """Return a step with other values at these paths."""
    node: Node = spec.node
    more: dict[str, Any] = {}
    for path, new in parts:
        node = put(node, path, new)
        value = plain_data(new)
        if path == ("ask", "choices") and spec.ask is not None:
            more["ask"] = (more.get("ask") or spec.ask).model_copy(update={"choices": value})
        elif path == ("sleep",):
            more["sleep"] = value if isinstance(value, str) else float(value)
    made = spec.model_copy(update=more)
    if isinstance(node, Mapping):
        made.at(node)
    return made
