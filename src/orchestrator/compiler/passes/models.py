"""The models that the steps of a file call: the defaults of steps that name none, and whether they can be called.

Nothing is looked up before a step calls a model, and nothing over a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.compiler.ir.model_references import ModelReference, ModelUse
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.passes.calls import fields_of
from orchestrator.compiler.rules.output_schema import check_model_parameters
from orchestrator.diagnostics import suggest
from orchestrator.expressions import Constant, MappingValue, Value
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence, plain_data
from orchestrator.models.catalog.names import AUTO_MODEL, parse_model_name
from orchestrator.models.messages import ModelName
from orchestrator.tools import Unresolved

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep
    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.tools.contract import Action, Makes

_NEEDS: Final = {"images": "vision", "tools": "tools", "hand_over": "tools"}
"""The capability that a parameter requires. A schema requires none: any model can write JSON."""


def complete_call(context: CompilationContext, step: SourceStep, tool: str, action: Action, parameters: Value) -> Value:
    """Return the parameters of a call, completed with its models if it names none, and record the use of the models."""
    if not action.uses_model or "model" not in action.parameters:
        return parameters
    spec = context.spec
    given = {name: value for name, value in fields_of(parameters).items() if not _is_null(value)}
    below = child(step.spec.node, "parameters")
    check_model_parameters(context, step.spec, given)
    added: dict[str, Any] = {}
    place = child(below, "model") if "model" in given else None
    if "requires_model" in given:
        if spec.selection is not None and "selection" not in given:
            added["selection"] = spec.selection
    elif place is None and (default := default_model(context, tool, action.name)) is not None:
        instead = _for_makers(context, default, action.makes) if action.makes != "text" else None
        if instead is None:
            place = default
        added = {"model": plain_data(default)} if instead is None else instead
    if place is not None:
        needs = {_NEEDS[name]: key for name in _NEEDS if name in given and (key := _key(below, name)) is not None}
        if (key := _key(below, "requires_model")) is not None:
            needs = dict.fromkeys(_capabilities(child(below, "requires_model")), key) | needs
        _note(context, place, ModelUse(step, action.makes, needs, action.name), given="model" in given)
    elif action.makes == "text" and "requires_model" not in given:
        _note_unnamed(context, step, "action", "tool", "prompt", "id")
    return with_constants(parameters, added) if added else parameters


def judge_model(context: CompilationContext, step: SourceStep, own: Value | None) -> Value:
    """Return the model that judges the output of a step: its own, the file's, or the one that the step calls."""
    node = child(step.spec.node, "check", "judge", "model")
    if own is not None and node is not None:
        _note(context, node, ModelUse(step), given=True)
        return own
    for key in ("judge_model", "model"):
        if key == "model" and step.work is not None and step.work.model is not None:
            return step.work.model
        place = context.spec.node.get(key) if getattr(context.spec, key) is not None else None
        if place is not None:
            _note(context, place, ModelUse(step), given=False)
            return Constant(plain_data(place))
    _note_unnamed(context, step, "check", "id")
    return Constant(str(AUTO_MODEL))


def note_model(context: CompilationContext, step: SourceStep, node: Node) -> None:
    """Record that a step also calls the models that a node names."""
    _note(context, node, ModelUse(step), given=True)


def default_model(context: CompilationContext, tool: str, action: str) -> Node | None:
    """Return the node that names the default models of a call."""
    node = context.spec.node
    experts = node.get("experts") if context.spec.experts else None
    for name in (f"{tool}.{action}", action, tool):
        if (found := child(experts, name)) is not None:
            return found
    return node.get("model") if context.spec.model is not None else None


def check_models(context: CompilationContext) -> None:
    """Report errors of the models of the file. All its steps must have been checked."""
    _check_experts(context)
    if context.model_references:
        from orchestrator.compiler.rules.model_access import report_model_access

        report_model_access(context)


def _for_makers(context: CompilationContext, default: Node, purpose: Makes) -> dict[str, Any] | None:
    """Return the parameters of a call for what is not text if the file's default models write text: providers.

    None: use the models that the file names, even if that is reported as an error.
    """
    if default is not context.spec.node.get("model"):
        return None
    from orchestrator.models.selection.purposes import capability_for

    catalogue = context.session.models.catalogue
    parsed = [parse_model_name(text, catalogue) for text, _ in ModelReference(default, given=False).names()]
    names = [name for name in parsed if isinstance(name, ModelName)]
    if AUTO_MODEL in names:
        return {}
    cards = [card for name in names if (card := catalogue.find(name)) is not None]
    if any(capability_for(purpose) in card.capabilities for card in cards):
        return None
    providers = [name for name in dict.fromkeys(name.provider for name in names) if _makes(catalogue, name, purpose)]
    return {"requires_model": {"providers": providers}} if providers else None


def _note_unnamed(context: CompilationContext, step: SourceStep, *keys: str) -> None:
    """Note that a step asks the default model, at the first of these keys that it has."""
    place = next((key for name in keys if (key := step.spec.node.key(name)) is not None), None)
    if place is not None:
        reference = ModelReference(place, given=False, unnamed=True)
        context.model_references.setdefault(id(place), reference).uses.append(ModelUse(step))


def _note(context: CompilationContext, place: Node, use: ModelUse, *, given: bool) -> None:
    context.model_references.setdefault(id(place), ModelReference(place, given)).uses.append(use)


def _check_experts(context: CompilationContext) -> None:
    experts = context.spec.node.get("experts") if context.spec.experts else None
    for entry in experts.entries if isinstance(experts, Mapping) else ():
        _check_expert(context, entry.key)


def _check_expert(context: CompilationContext, key: Scalar) -> None:
    registry, name = context.session.registry, key.text
    model = registry.get("model")
    own = model.find(name) if model is not None else None
    tool = registry.get(name)
    found: list[Action] = [own] if own is not None else list(tool.actions.values()) if tool is not None else []
    if any(action.uses_model for action in found):
        return
    code, message = codes.UNKNOWN_TOOL, f"`experts` names unknown action or tool `{name}`"
    candidates = [*model.actions, *registry.names()] if model is not None else list(registry.names())
    head, dot, _ = name.partition(".")
    if found:
        code, message = codes.INVALID_MODEL_OPTIONS, f"`experts` names `{name}`, which does not call models"
    elif dot:
        resolved = registry.resolve(None, name)
        if not isinstance(resolved, Unresolved):
            if resolved[1].uses_model:
                return
            code, message = codes.INVALID_MODEL_OPTIONS, f"`experts` names `{name}`, which does not call models"
        elif resolved.code == codes.UNKNOWN_ACTION:
            code, candidates = codes.UNKNOWN_ACTION, [f"{head}.{action}" for action in resolved.candidates]
    near = suggest(name, candidates) if code != codes.INVALID_MODEL_OPTIONS else None
    context.diagnostics.add(
        code,
        key.span,
        message,
        label="does not call models" if code == codes.INVALID_MODEL_OPTIONS else "unknown",
        help=f"did you mean `{near}`?"
        if near
        else "name an action that calls models, such as `summarize`, or a tool with such actions",
        replacement=near,
    )


def _makes(catalogue: Catalogue, provider: str, purpose: Makes) -> bool:
    """Return whether a provider may have models for a purpose; what a custom server has is known when it is called."""
    from orchestrator.models.selection.purposes import capability_for

    is_from_file = catalogue.providers[provider].free
    return is_from_file or any(capability_for(purpose) in card.capabilities for card in catalogue.cards(provider))


def with_constants(parameters: Value, added: dict[str, Any]) -> Value:
    """Return parameters with further constants."""
    match parameters:
        case Constant(value) if isinstance(value, dict):
            return Constant({**value, **added})
        case MappingValue(entries):
            return MappingValue({**entries, **{name: Constant(value) for name, value in added.items()}})
    return parameters


def _is_null(value: Value) -> bool:
    return isinstance(value, Constant) and value.value is None


def _capabilities(node: Node | None) -> list[str]:
    """Return the capabilities that a step requires, as far as they are constants."""
    from orchestrator.config.vocabulary import CAPABILITIES

    listed = child(node, "capabilities")
    nodes = listed.items if isinstance(listed, Sequence) else [listed]
    return [str(each.value) for each in nodes if isinstance(each, Scalar) and each.value in CAPABILITIES]


def _key(node: Node | None, name: str) -> Scalar | None:
    return node.key(name) if isinstance(node, Mapping) else None
