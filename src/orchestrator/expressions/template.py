"""`Template`: a parsed text with expressions. It is immutable, so threads can share it."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import EvaluationError
from orchestrator.expressions.limits import MAX_TEMPLATE
from orchestrator.expressions.problem import Fact, Inference, Problem, Reference
from orchestrator.expressions.syntax import nodes
from orchestrator.expressions.types.value_types import ANY, STRING
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from orchestrator.expressions.evaluation.scope import Scope
    from orchestrator.expressions.types.value_types import Type
    from orchestrator.remedies import Remedy

_NO_NAMES: frozenset[str] = frozenset()


class Template:
    """A text with `{{ }}`, `{% %}` and `{# #}`, or one bare expression.

    `problems` are its syntax problems; a template with errors cannot be evaluated. `is_constant`: it has no template
    syntax, so its value is its text. `is_expression`: it is exactly one `{{ }}` (or a bare expression), so its value
    keeps its type; otherwise its value is text.
    """

    __slots__ = (
        "_body",
        "_condition",
        "_evaluate",
        "_expression",
        "_hyphenated",
        "_references",
        "is_constant",
        "problems",
        "text",
    )

    text: str
    problems: tuple[Problem, ...]
    is_constant: bool
    _body: list[nodes.Statement]
    _expression: nodes.Expression | None
    _condition: bool
    _hyphenated: frozenset[str]
    _references: tuple[Reference, ...] | None
    _evaluate: Callable[[Scope], Any] | None

    def __init__(
        self,
        text: str,
        body: list[nodes.Statement],
        expression: nodes.Expression | None,
        problems: tuple[Problem, ...],
        *,
        constant: bool = False,
        condition: bool = False,
        hyphenated: frozenset[str] = _NO_NAMES,
    ) -> None:
        put = object.__setattr__
        put(self, "text", text)
        put(self, "problems", problems)
        put(self, "is_constant", constant)
        put(self, "_body", body)
        put(self, "_expression", expression)
        put(self, "_condition", condition)
        put(self, "_hyphenated", hyphenated)
        put(self, "_references", None)
        put(self, "_evaluate", None)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a template is immutable: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a template is immutable: {name}")

    def __repr__(self) -> str:
        return f"Template({self.text!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Template):
            return NotImplemented
        return self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[str, bool, frozenset[str]]:
        return (self.text, self._condition, self._hyphenated)

    def __reduce__(self) -> tuple[Callable[..., Template], tuple[Any, ...]]:
        return (_again, (self.text, self._hyphenated, self._condition, self.is_constant))

    @property
    def is_expression(self) -> bool:
        """Whether its value keeps its type, because it is exactly one expression."""
        return self._expression is not None

    @property
    def is_lookup(self) -> bool:
        """Whether it is exactly one expression that only looks up a value: `a`, `a.b`, `a[0]`."""
        return self._expression is not None and nodes.is_lookup(self._expression)

    @property
    def references(self) -> tuple[Reference, ...]:
        """Every read of a name that the template does not set itself, in text order."""
        found: tuple[Reference, ...] | None = self._references
        if found is None:
            from orchestrator.expressions.syntax.references import references_of

            try:
                found = references_of(self._body, condition=self._condition)
            except RecursionError:
                found = ()
            object.__setattr__(self, "_references", found)
        return found

    def reference_at(self, offset: int) -> Reference | None:
        """Return the read at an offset of the text."""
        before = bisect_right(self.references, offset, key=lambda reference: reference.start)
        found = self.references[before - 1] if before else None
        return found if found is not None and offset < found.end else None

    def infer(self, env: Mapping[str, Type]) -> Inference:
        """Infer the type of the value from the types of the names, and find what is sure to fail.

        Reports undefined names (ORC301), fields that a value is declared not to have (ORC303), and operations that
        the types do not support (ORC316). In doubt it reports nothing, and the type is `any`.
        """
        if self.is_constant:
            return Inference(STRING)
        from orchestrator.expressions.inference.statement_inferrer import infer

        try:
            return infer(self._body, self._expression, env)
        except RecursionError:
            return Inference(ANY)

    @property
    def facts(self) -> frozenset[Fact]:
        """What is known if the template, a condition, is true."""
        from orchestrator.expressions.syntax.facts import facts

        return frozenset() if self._expression is None else facts(self._expression, holds=True)

    def follows_from(self, given: Iterable[Fact]) -> bool:
        """Whether these facts imply that the template, a condition, is true."""
        from orchestrator.expressions.syntax.facts import follows

        return self._expression is not None and follows(self._expression, {(text, holds) for text, holds, _ in given})

    def shell_injections(self, env: Mapping[str, Type], trusted: Callable[[Reference], bool]) -> list[tuple[int, int]]:
        """Return the spans where the template inserts unquoted text into a shell command.

        `trusted` tells whether the value of a read comes from the pipeline itself.
        """
        from orchestrator.expressions.inference.injection import shell_injections

        return [(found.start, found.end) for found in shell_injections(self._body, env, trusted)]

    def code_injections(self, env: Mapping[str, Type], trusted: Callable[[Reference], bool]) -> list[tuple[int, int]]:
        """Return the spans where the template inserts text into code, such as Python or SQL.

        `trusted` is as for `shell_injections`.
        """
        from orchestrator.expressions.inference.injection import code_injections

        return [(found.start, found.end) for found in code_injections(self._body, env, trusted)]

    def shell_quoted(self) -> list[tuple[int, int]]:
        """Return the spans where the template inserts quoted text into a shell command."""
        from orchestrator.expressions.inference.injection import shell_quoted

        return [(found.start, found.end) for found in shell_quoted(self._body)]

    def evaluate(self, scope: Scope) -> Any:
        """Compute the value: JSON data, or text if there is more than one expression.

        Raises:
            EvaluationError: With `expression`, the failing expression, and `start` and `end`, its offsets in `text`.
        """
        if self.is_constant:
            return self.text
        evaluate: Callable[[Scope], Any] | None = self._evaluate
        if evaluate is None:
            evaluate = self._compiled()
            object.__setattr__(self, "_evaluate", evaluate)
        try:
            return evaluate(scope)
        except RecursionError:
            raise self._error("the values are nested too deeply") from None
        except MemoryError:
            raise self._error("not enough memory for the result") from None

    def render(self, scope: Scope) -> str:
        """Compute the value as text: null is empty, lists and objects are JSON.

        Raises:
            EvaluationError: As in `evaluate`.
        """
        from orchestrator.expressions.evaluation.scope import OperationError
        from orchestrator.expressions.evaluation.text import to_text

        value = self.evaluate(scope)
        try:
            return to_text(value)
        except OperationError as failure:
            raise self._error(failure.message) from None

    def _error(self, message: str, help: str | None = None, remedies: tuple[Remedy, ...] = ()) -> EvaluationError:
        excerpt = shorten(self.text, 200)
        return EvaluationError(message, expression=excerpt, start=0, end=len(self.text), help=help, remedies=remedies)

    def _compiled(self) -> Callable[[Scope], Any]:
        for problem in self.problems:
            if problem.severity == "error":
                raise self._error(f"invalid template: {problem.message}", problem.help, problem.remedies)
        from orchestrator.expressions.closures.statement_compiler import compile_template

        return compile_template(self.text, self._body, self._expression)


def _again(text: str, hyphenated: frozenset[str], condition: bool, constant: bool) -> Template:
    if constant or not condition:
        return parse_template(text, hyphenated=hyphenated)
    return parse_expression(text, hyphenated=hyphenated)


def parse_template(text: str, *, hyphenated: frozenset[str] = _NO_NAMES) -> Template:
    """Parse a text with expressions. Never raises: errors are in `problems`.

    `hyphenated` are known names that contain `-`, which is otherwise a subtraction.
    """
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return Template(text, [], None, (), constant=True)
    if len(text) > MAX_TEMPLATE:
        return Template(text, [], None, (_too_long(text),))
    from orchestrator.expressions.syntax.template_parser import TemplateParser

    parser = TemplateParser(text, hyphenated)
    try:
        parser.parse()
    except RecursionError:
        parser.problems.append(_too_deep(text))
    expression = None
    if len(parser.body) == 1 and text.startswith("{{") and text.endswith("}}"):
        only = parser.body[0]
        if isinstance(only, nodes.Output):
            expression = only.expression
    problems = tuple(sorted(parser.problems, key=_place)) if parser.problems else ()
    return Template(text, parser.body, expression, problems, hyphenated=hyphenated)


def parse_expression(text: str, *, hyphenated: frozenset[str] = _NO_NAMES, condition: bool = True) -> Template:
    """Parse one expression, bare or between `{{` and `}}`. Never raises: errors are in `problems`.

    With `condition` only the truth of the value matters, so null is acceptable (`Reference.guarded`).
    """
    problems: list[Problem] = []
    body: list[nodes.Statement] = []
    if len(text) > MAX_TEMPLATE:
        problems.append(_too_long(text))
    elif text.lstrip().startswith(("{{", "{%", "{#")):
        body = _braced(text, hyphenated, problems)
    else:
        body = _bare(text, hyphenated, problems)
    expression = body[0].expression if len(body) == 1 and isinstance(body[0], nodes.Output) else None
    return Template(
        text, body, expression, tuple(sorted(problems, key=_place)), condition=condition, hyphenated=hyphenated
    )


def _bare(text: str, hyphenated: frozenset[str], problems: list[Problem]) -> list[nodes.Statement]:
    from orchestrator.expressions.syntax.expression_parser import ExpressionParser, ParseError
    from orchestrator.expressions.syntax.lexer import tokenize

    try:
        tokens = tokenize(text, 0, hyphenated=hyphenated)
        return [nodes.Output(ExpressionParser(text, tokens, problems).whole())]
    except ParseError as abandoned:
        problems.append(_unbraced(text) or abandoned.problem)
    except RecursionError:
        problems.append(_too_deep(text))
    return [nodes.Output(nodes.Bad([], 0, len(text)))]


def _unbraced(text: str) -> Problem | None:
    start = text.find("{{")
    if start < 0:
        return None
    end = text.find("}}", start)
    return Problem(
        codes.MALFORMED_EXPRESSION,
        "a condition is one expression, so its parts cannot be in braces",
        start,
        len(text) if end < 0 else end + 2,
        "remove the braces: `a and b`, not `{{ a }} and {{ b }}`",
        "braces inside an expression",
    )


def _braced(text: str, hyphenated: frozenset[str], problems: list[Problem]) -> list[nodes.Statement]:
    from orchestrator.expressions.syntax.template_parser import TemplateParser

    parser = TemplateParser(text, hyphenated)
    try:
        parser.parse()
    except RecursionError:
        problems.append(_too_deep(text))
        return []
    problems.extend(parser.problems)
    body = [part for part in parser.body if not (isinstance(part, nodes.Text) and not part.text.strip())]
    if problems or (len(body) == 1 and isinstance(body[0], nodes.Output)):
        return body
    problems.append(
        Problem(
            codes.MALFORMED_EXPRESSION,
            "a condition is one expression",
            0,
            len(text),
            "remove the braces, and join the parts with `and` or `or`",
            "more than one expression",
        )
    )
    return body


def _place(problem: Problem) -> tuple[int, int, str]:
    return (problem.start, problem.end, problem.code)


def _too_long(text: str) -> Problem:
    return Problem(
        codes.MALFORMED_EXPRESSION,
        f"the template has {len(text):,} characters, more than the maximum of {MAX_TEMPLATE:,}",
        0,
        len(text),
        "read large texts from a file, in a step",
    )


def _too_deep(text: str) -> Problem:
    return Problem(
        codes.MALFORMED_EXPRESSION, "the expression is nested too deeply", 0, len(text), "split it with `{% set %}`"
    )
