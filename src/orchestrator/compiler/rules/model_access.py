"""Checks whether named models can be called and have the required capabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct, field

from orchestrator import codes
from orchestrator.diagnostics import Related
from orchestrator.diagnostics.missing_access import ACCESS
from orchestrator.errors import ConfigurationError, MissingExtra, ModelMissing
from orchestrator.language.yaml.nodes import Scalar
from orchestrator.models.budget import exact_usd
from orchestrator.models.catalog.names import AUTO_MODEL, NameProblem, misspelt, parse_model_name
from orchestrator.models.clients.endpoints import how_to_give_key, missing_extra
from orchestrator.models.selection.purposes import unmade
from orchestrator.remedies import ListModels, Remedy
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.model_references import ModelEnvironment, ModelReference, ModelUse
    from orchestrator.compiler.ir.nodes import SourceStep
    from orchestrator.errors import OrchestratorError
    from orchestrator.models.catalog.entries import ModelCard
    from orchestrator.models.catalog.providers import Provider
    from orchestrator.models.messages import ModelName
    from orchestrator.models.selection.purposes import Purpose


class _Problem(Struct):
    """A problem that prevents a model from being called. Problems with the same `cause` are reported once."""

    code: str
    scalar: Scalar
    message: str
    help: str | None
    label: str
    cause: str = ""
    severity: Literal["error", "warning"] = "error"
    replacement: str | None = None
    related: tuple[Related, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    notes: tuple[str, ...] = ()
    steps: list[str] = field(default_factory=list)


def report_model_access(context: CompilationContext) -> None:
    """Report problems with the models that a file names; a missing key, for example, once for the file."""
    here = context.session.models
    found: dict[str, _Problem] = {}
    for reference in context.model_references.values():
        for problem in _of_place(context, here, reference):
            cause = problem.cause or f"{problem.code} {id(problem.scalar)}"
            before = found.get(cause)
            if before is not None:
                kept = problem if problem.severity == "error" != before.severity else before
                kept.steps = list(dict.fromkeys([*before.steps, *problem.steps]))
                problem = kept
            found[cause] = problem
    for problem in found.values():
        count = len(problem.steps)
        listed = quoted_list(problem.steps, most=5)
        context.diagnostics.add(
            problem.code,
            problem.scalar.span,
            problem.message,
            label=problem.label,
            help=problem.help,
            notes=(*problem.notes, *((f"{count} steps need it: {listed}",) if count > 1 and problem.cause else ())),
            related=problem.related,
            replacement=problem.replacement,
            severity=problem.severity,
            remedies=problem.remedies,
        )


def _of_place(context: CompilationContext, here: ModelEnvironment, reference: ModelReference) -> list[_Problem]:
    """Return the problems of the models at one place. If another model of a list is usable, they are warnings."""
    names = reference.names()
    whole: list[_Problem] = []
    usable = len(names) == 0
    for text, scalar in names:
        if text.strip() == str(AUTO_MODEL):
            problems = _default_access(here, scalar)
            usable = usable or not problems
            whole += problems
            continue
        name = parse_model_name(text, here.catalogue)
        if isinstance(name, NameProblem):
            label = "no model"
            problem = _Problem(codes.UNKNOWN_MODEL, scalar, name.message, name.help, label, replacement=name.suggestion)
            problem.remedies = name.remedies
            whole.append(problem)
            continue
        if (near := misspelt(name, here.catalogue)) is not None:
            meant = f"{name.provider}:{near}"
            message = f"unknown model `{name}`"
            help = f"did you mean `{meant}`?"
            whole.append(
                _Problem(codes.UNKNOWN_MODEL, scalar, message, help, "not known", severity="warning", replacement=meant)
            )
        problems = _of_model(context, here, reference, name, scalar)
        usable = usable or not problems
        whole += problems
    if usable:
        for problem in whole:
            if problem.code != codes.UNKNOWN_MODEL:
                problem.severity = "warning"
                problem.label += "; other models of the list are used" if len(names) > 1 else ""
    elif len(names) > 1:
        for problem in whole:
            if problem.code in ACCESS:
                problem.notes = ("one model of the list is enough",)
    steps = list(dict.fromkeys(use.step.id for use in reference.uses if use.step.id))
    for problem in whole:
        problem.steps = problem.steps or steps
    return whole


def _of_model(
    context: CompilationContext, here: ModelEnvironment, reference: ModelReference, name: ModelName, scalar: Scalar
) -> list[_Problem]:
    problems: list[_Problem] = []
    if here.live:
        problems += _access(here, name, scalar, here.catalogue.providers[name.provider])
    card = here.catalogue.find(name)
    if card is not None:
        problems += _abilities(context, reference, card, scalar)
    if card is None or card.input_price is None or card.output_price is None:
        problems += _unpriced(context, reference, name, scalar)
    return problems


def _default_access(here: ModelEnvironment, scalar: Scalar) -> list[_Problem]:
    """What keeps `auto` from standing for a model, if models are called."""
    if not here.live:
        return []
    try:
        default = here.default
    except ConfigurationError as error:
        return [_of_error(codes.MISSING_API_KEY, scalar, error, "no key", codes.MISSING_API_KEY)]
    if isinstance(default, ModelMissing):
        code = codes.MISSING_API_KEY if here.catalogue.settings.default is None else codes.UNKNOWN_MODEL
        return [_of_error(code, scalar, default, "no model", f"{code} {AUTO_MODEL}")]
    if default is None or here.catalogue.settings.default is None:
        return []
    return _access(here, default, scalar, here.catalogue.providers[default.provider])


def _access(here: ModelEnvironment, name: ModelName, scalar: Scalar, provider: Provider) -> list[_Problem]:
    problems = []
    try:
        if not here.keys.suffices(provider):
            message = f"no API key for {provider.title}, which `{name}` requires"
            help, remedy = how_to_give_key(provider)
            cause = f"ORC422 {provider.name}"
            problem = _Problem(codes.MISSING_API_KEY, scalar, message, help, "no key", cause, remedies=(remedy,))
            problems.append(problem)
    except ConfigurationError as error:
        problems.append(_of_error(codes.MISSING_API_KEY, scalar, error, "no key", codes.MISSING_API_KEY))
    missing: MissingExtra | None = missing_extra(provider)
    if missing is not None:
        cause = f"ORC423 {missing.extra}"
        problems.append(_of_error(codes.PROVIDER_EXTRA_MISSING, scalar, missing, "not installed", cause))
    return problems


def _of_error(code: str, scalar: Scalar, error: OrchestratorError, label: str, cause: str) -> _Problem:
    return _Problem(code, scalar, error.message, error.help, label, cause, remedies=error.remedies)


_MAKERS: Final[Mapping[Purpose, tuple[str, str]]] = {
    "embeddings": ("openai:text-embedding-3-small", "embed"),
    "images": ("openai:gpt-image-1", "image"),
    "transcripts": ("openai:gpt-4o-transcribe", "audio.transcribe"),
    "speech": ("openai:gpt-4o-mini-tts", "audio.speak"),
}
"""For what is not text, an example of a model, and how `experts` name the actions."""


def _abilities(
    context: CompilationContext, reference: ModelReference, card: ModelCard, scalar: Scalar
) -> list[_Problem]:
    """Return what the model cannot do and a step requires; one problem of each kind."""
    problems: dict[str, _Problem] = {}
    for use in reference.uses:
        asked = f"step `{use.step.id}`"
        if found := unmade(card, use.purpose):
            words = found.removeprefix("it ")
            message = f"`{card.name}` {words}, which {asked} requires"
            help, label = "name a model that writes text", "does not write text"
            if use.purpose != "text":
                example, expert = _MAKERS[use.purpose]
                help, label = f"name a model that does, for example `{example}`", words
                if not reference.given:
                    help += f"; for all such steps: `experts: {{{expert}: {example}}}`"
            problem = _Problem(codes.INCAPABLE_MODEL, scalar, message, help, label)
            problem.related = _related(context, use, "required here")
        else:
            lacking = next((need for need in use.needs if card.lacks(need)), None)
            if lacking is None:
                continue
            node = use.needs[lacking]
            message = f"`{card.name}` does not support `{lacking}`, which {asked} requires for its `{node.text}`"
            problem = _Problem(
                codes.INCAPABLE_MODEL,
                scalar,
                message,
                "name a model that does",
                f"no `{lacking}`",
                remedies=(ListModels(lacking),),
            )
            problem.related = (Related("required by this", context.document.source, node.span),)
        problems.setdefault(problem.label, problem)
    return list(problems.values())


def _unpriced(
    context: CompilationContext, reference: ModelReference, name: ModelName, scalar: Scalar
) -> list[_Problem]:
    for use in reference.uses:
        for usd, place in _usd_limits(context, use.step):
            message = f"the price of `{name}` is unknown, so a budget of {exact_usd(usd)} cannot be enforced"
            help = (
                f'set its price in orchestrator.toml: `[models."{name}"]` with `input_price` and `output_price`, '
                "or set the budget in `tokens`"
            )
            return [_Problem(codes.INVALID_MODEL_OPTIONS, scalar, message, help, "unknown price", related=(place,))]
    return []


def _usd_limits(context: CompilationContext, step: SourceStep) -> Iterator[tuple[float, Related]]:
    """Yield the USD limits that apply to a step, the innermost first, each with the place where it is set."""
    around = [(outer.spec.budget, outer.spec.node) for outer in step.ancestors()]
    for budget, node in (*around, (context.spec.budget, context.spec.node)):
        if budget is not None and budget.usd is not None:
            key = node.key("budget")
            span = key.span if key is not None else node.span
            yield budget.usd, Related("the budget is set here", context.document.source, span)


def _related(context: CompilationContext, use: ModelUse, words: str) -> tuple[Related, ...]:
    node = use.step.spec.node.key("action") or use.step.spec.node.key("check") or use.step.spec.node.key("id")
    return (Related(words, context.document.source, node.span),) if node is not None else ()
