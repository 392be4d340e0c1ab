"""Descriptions of a plan in words: its purpose and its structure. The same plan always has the same description."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from orchestrator.expressions import ANY, Constant, MappingValue
from orchestrator.expressions.types.value_types import describe_type as describe_type
from orchestrator.models.budget import limits_in_words
from orchestrator.plan.detached_run import DetachedRun
from orchestrator.plan.steps import (
    Agent,
    Approve,
    Ask,
    ForEach,
    RepeatLoop,
    StepGroup,
    StepPlan,
    SubPipeline,
    Switch,
    ToolCall,
    Wait,
)
from orchestrator.plan.value_text import source_of
from orchestrator.plan.values import Computation, End, Failure
from orchestrator.plan.views.graph import graph_of
from orchestrator.plan.views.layout import layers
from orchestrator.plan.walk import walk
from orchestrator.text.words import plural, word_list

if TYPE_CHECKING:
    from orchestrator.plan.model import Plan
    from orchestrator.plan.views.graph import GraphNode, GraphSection

_MOST_LINES: Final = 200
_MOST_NAMES: Final = 6


def intention(plan: Plan) -> str:
    """Describe the purpose of a pipeline in a few sentences: its inputs, its work, its outputs."""
    title = plan.name or plan.id
    about = " ".join(plan.description.split())
    sentences = [f"{title}: {about.rstrip('.')}." if about else f"{title}."]
    if plan.inputs:
        takes = [f"`{name}`" + (" (optional)" if not spec.required else "") for name, spec in plan.inputs.items()]
        sentences.append(f"It takes {word_list(takes)}.")
    sentences.append(_work_of(plan))
    if plan.outputs:
        gives = [f"`{name}`" for name in plan.outputs]
        sentences.append(f"It returns {word_list(gives)}.")
    return " ".join(sentence for sentence in sentences if sentence)


def architecture(plan: Plan) -> str:
    """Describe the structure of a pipeline in Markdown: its steps, their order, and what it requires."""
    return "\n".join(_architecture(plan)) + "\n"


def _architecture(plan: Plan) -> Iterator[str]:
    steps = list(every_step(plan))
    pairs = [(dependency, step.id) for step in plan.steps for dependency in step.dependencies]
    stages = Counter(layers([step.id for step in plan.steps], pairs).values())
    widest = max(stages.values(), default=0)
    inner = len(steps) - len(plan.steps)
    within = f" and {plural(inner, 'step')} inside them" if inner else ""
    yield f"# {plan.name or plan.id}"
    yield ""
    order = (
        f"in {plural(len(stages), 'stage')}, up to {widest} steps in parallel" if widest > 1 else "one after another"
    )
    yield f"{plural(len(plan.steps), 'step')}{within}{', ' + order if len(plan.steps) > 1 else ''}."
    if plan.inputs:
        yield from ("", "## Inputs", "")
        for name, spec in plan.inputs.items():
            needed = "required" if spec.required else f"default {spec.default!r}" if spec.has_default else "optional"
            about = f": {spec.description}" if spec.description else ""
            yield f"- `{name}` ({spec.type or 'any'}, {'secret, ' if spec.secret else ''}{needed}){about}"
    yield from ("", "## Steps", "")
    graph = graph_of(plan)
    lines = [*_lines(graph.steps, 0), *(line for node in graph.afterwards for line in _node_lines(node, "", 0))]
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield f"- … {len(lines) - _MOST_LINES} more"
    if plan.outputs:
        yield from ("", "## Outputs", "")
        for name, output in plan.outputs.items():
            about = f": {output.description}" if output.description else ""
            kind = f" ({describe_type(output.type)})" if output.type != ANY else ""
            yield f"- `{name}`{kind}{about}"
    needs = list(_needs(plan, steps))
    if needs:
        yield from ("", "## Needs", "", *(f"- {need}" for need in needs))


def _lines(section: GraphSection, depth: int) -> Iterator[str]:
    titles = {node.key: node.title for node in section.nodes}
    waits: dict[str, list[str]] = {}
    for edge in section.edges:
        waits.setdefault(edge.target, []).append(titles[edge.source])
    for node in section.nodes:
        after = f", after {word_list([f'`{name}`' for name in waits[node.key]])}" if node.key in waits else ""
        yield from _node_lines(node, after, depth)


def _node_lines(node: GraphNode, after: str, depth: int) -> Iterator[str]:
    condition = " (conditional)" if node.conditional else ""
    yield f"{'  ' * depth}- `{node.title}`: {' '.join(node.what.split())}{condition}{after}"
    for section in node.sections:
        if section.label:
            yield f"{'  ' * (depth + 1)}- {section.label}:"
        yield from _lines(section, depth + 1 + bool(section.label))


def _work_of(plan: Plan) -> str:
    """Describe the kinds of work in a plan."""
    kinds: Counter[str] = Counter()
    tools: dict[str, None] = {}
    for step in every_step(plan):
        match step.work:
            case ToolCall(tool, action):
                if action.uses_model:
                    kinds["model"] += 1
                else:
                    tools.setdefault(tool.name)
            case Agent():
                kinds["agent"] += 1
            case Ask() | Approve():
                kinds["person"] += 1
            case ForEach() | RepeatLoop():
                kinds["loop"] += 1
            case SubPipeline() | DetachedRun() as call:
                kinds[call.kind] += 1
            case Switch() | StepGroup() | Wait() | Computation() | Failure() | End():
                pass
    does = []
    if kinds["model"]:
        does.append(f"calls models in {plural(kinds['model'], 'step')}")
    if kinds["agent"]:
        does.append(f"runs {plural(kinds['agent'], 'agent')}")
    if tools:
        names = [f"`{name}`" for name in tools]
        shown = names if len(names) <= _MOST_NAMES else [*names[:_MOST_NAMES], f"{len(names) - _MOST_NAMES} more"]
        does.append(f"uses the {'tool' if len(tools) == 1 else 'tools'} {word_list(shown)}")
    does += [f"{verb} {plural(kinds[kind], noun)}" for kind, (verb, noun) in _COUNTED.items() if kinds[kind]]
    if kinds["person"]:
        does.append(f"asks a person {_times(kinds['person'])}")
    return f"It {word_list(does)}." if does else ""


_COUNTED: Final = {
    "loop": ("repeats work in", "loop"),
    "pipeline": ("calls", "other pipeline"),
    "detached": ("starts", "other run"),
}


def _needs(plan: Plan, steps: Sequence[StepPlan]) -> Iterator[str]:
    """Yield what the pipeline requires to run: models, people, a budget."""
    models: dict[str, None] = {}
    for step in steps:
        if isinstance(step.work, ToolCall | Agent):
            models.update(dict.fromkeys(models_of(step.work)))
    if models:
        yield f"models: {word_list([f'`{name}`' for name in models])}"
    if plan.budget is not None:
        yield "a budget of " + word_list(limits_in_words(plan.budget))
    if any(isinstance(step.work, Ask | Approve) for step in steps):
        yield "a person who answers"
    secrets = [f"`{name}`" for name, spec in plan.inputs.items() if spec.secret]
    if secrets:
        yield f"secrets: {word_list(secrets)}"


def models_of(work: ToolCall | Agent) -> tuple[str, ...]:
    """Return the models that a step names: `auto` if it calls one without naming it; nothing for other tools."""
    if isinstance(work, ToolCall) and not work.action.uses_model:
        return ()
    parameters = work.parameters
    given = parameters.entries.get("model") if isinstance(parameters, MappingValue) else None
    if given is not None:
        named = source_of(given)
    elif isinstance(parameters, Constant) and isinstance(parameters.value, Mapping):
        named = parameters.value.get("model")
    else:
        named = None
    if named is None:
        return ("auto",)
    return tuple(str(one) for one in named) if isinstance(named, list) else (str(named),)


def every_step(plan: Plan) -> Iterator[StepPlan]:
    """Yield every step of a plan once, at every depth, called pipelines included."""
    for each in (plan, *plan.pipelines.values()):
        yield from (visit.step for visit in walk(each) if visit.within.role != "turn")


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
