"""Plans built by hand, for what looks at plans: short words for each construct, and one plan with all of them."""

from pathlib import Path
from typing import Any

from orchestrator.expressions import ANY, STRING, Constant, ListValue, MappingValue, Templated, Value, parse_template
from orchestrator.expressions.template import parse_expression
from orchestrator.language.spec.inputs import InputSpec
from orchestrator.models.budget import Budget
from orchestrator.plan.agent_tools import AgentPipeline, AgentRole, AgentServer, AgentTool, CallPolicy
from orchestrator.plan.auto_values import AutoValue
from orchestrator.plan.concurrency import ConcurrencyPlan
from orchestrator.plan.detached_run import DetachedRun
from orchestrator.plan.loop_items import FileItems, MatrixItems, RangeItems, ZippedItems
from orchestrator.plan.model import OutputPlan, Plan
from orchestrator.plan.notices import NoticePlan, NotifyPlan
from orchestrator.plan.policies import Audience, CachePolicy, Check, Judge, OnFailure, RetryPolicy
from orchestrator.plan.steps import (
    Agent,
    Approve,
    Ask,
    Block,
    CaseKey,
    ForEach,
    Handler,
    RepeatLoop,
    StepGroup,
    StepPlan,
    SubPipeline,
    Switch,
    ToolCall,
    Wait,
)
from orchestrator.plan.values import Computation, End, Failure
from orchestrator.tools.contract import Action, Tool

ECHO = Action("echo", lambda value: value, "thread", {}, ANY)
TEXT = Tool("text", {"echo": ECHO, "split": Action("split", lambda value: value, "thread", {}, ANY)}, version="3")


def template(text: str) -> Templated:
    return Templated(parse_template(text))


def call(action: str = "echo", **parameters: Any) -> ToolCall:
    values = {name: value if isinstance(value, Value) else Constant(value) for name, value in parameters.items()}
    return ToolCall(TEXT, TEXT.actions[action], MappingValue(values))


def step(id: str, *dependencies: str, work: Any = None, condition: str | None = None, **more: Any) -> StepPlan:
    """A step; without `work` it calls a tool."""
    tested = parse_expression(condition) if condition is not None else None
    return StepPlan(id, work or call(), dependencies=dependencies, condition=tested, **more)


def block(*steps: StepPlan | str) -> Block:
    return Block(tuple(one if isinstance(one, StepPlan) else step(one) for one in steps))


def for_each(*steps: StepPlan | str, items: str = "{{ rows }}", **more: Any) -> ForEach:
    return ForEach(template(items), block(*steps), **more)


def until(condition: str, *steps: StepPlan | str, **more: Any) -> RepeatLoop:
    return RepeatLoop("until", parse_expression(condition), block(*steps), **more)


def switch(subject: str, default: Block | None = None, **cases: Block) -> Switch:
    return Switch(template(subject), tuple((CaseKey(key, key), body) for key, body in cases.items()), default)


def group(*steps: StepPlan | str, **more: Any) -> StepGroup:
    return StepGroup(block(*steps), **more)


def plan(*steps: StepPlan | str, id: str = "p", **more: Any) -> Plan:
    return Plan(id, f"{id}.yaml", f"id: {id}\n", Path(), "", block(*steps).steps, **more)


def every_construct() -> Plan:
    """A plan in which every part of every construct is used at least once."""
    called = plan(step("fetch", work=call(value=template("{{ topic }}"))), id="other", inputs={"topic": InputSpec()})
    loops = (
        step(
            "rows",
            work=ForEach(
                FileItems(Constant("rows.csv"), "csv"),
                block("clean", step("judge", "clean", work=group("left", "right", parallel=True, wait_for=1))),
                name="row",
                max_parallel=8,
                on_item_failure=OnFailure("value", value=Constant(0)),
                min_success=0.5,
                collect=template("{{ clean }}"),
            ),
        ),
        step("numbers", work=ForEach(RangeItems(Constant(0), template("{{ n }}"), Constant(2)), step("numbers"))),
        step(
            "sum",
            work=for_each("part", initial={"total": Constant(0)}, update={"total": template("{{ total + part }}")}),
            limits={"timeout": template("{{ n }}s")},
        ),
        step(
            "sizes",
            work=ForEach(
                MatrixItems(
                    {"size": Constant([1, 2]), "color": template("{{ a }}")}, Constant([{"size": 1}]), Constant([{}])
                ),
                block("dye"),
            ),
        ),
        step("pairs", work=ForEach(ZippedItems({"left": template("{{ a }}"), "right": Constant([1])}), block("meet"))),
        step("names", work=ForEach(ListValue((template("{{ a }}"), Constant("b"))), block("greet"))),
        step(
            "refine",
            work=until(
                "check.ok",
                step("draft", retry=RetryPolicy(3, on=("ORC701",))),
                step("check", "draft"),
                max_iterations=5,
                on_limit="continue",
                initial={"total": Constant(0)},
                update={"total": template("{{ total + 1 }}")},
                collect=template("{{ draft }}"),
            ),
        ),
        step("poll", work=RepeatLoop("while", parse_expression("x < 1"), block("ask_again"))),
    )
    branches = (
        step("route", work=switch("{{ kind }}", block("other_kind"), a=block("first"), b=block("second", "third"))),
        step("tidy", work=group("sweep", step("wipe", "sweep", undo=block("restore")), compensate=True), timeout=60.0),
        step("started", work=DetachedRun("other.yaml", MappingValue({"topic": Constant("waves")}))),
        step("sub", work=SubPipeline("other.yaml", MappingValue({"topic": Constant("tides")}), max_depth=2)),
    )
    agent = step(
        "research",
        work=Agent(
            MappingValue({"prompt": template("{{ kind }}"), "model": Constant("auto")}),
            Constant(7),
            (AgentTool("text_echo", TEXT, ECHO), AgentTool("text_split", TEXT, TEXT.actions["split"])),
            (AgentServer("files"), AgentServer("web", "search", CallPolicy(timeout=1.5))),
            (
                AgentPipeline(
                    "refund",
                    "other.yaml",
                    "Refund it.",
                    {"type": "object"},
                    CallPolicy(parse_expression("arguments.amount > 9"), 2, 60.0),
                ),
            ),
            (
                AgentRole(
                    "expert",
                    "Knows more.",
                    MappingValue({"system": template("{{ kind }}")}),
                    (AgentTool("text_echo", TEXT, ECHO),),
                ),
            ),
            parallel=False,
            timeout=2.5,
        ),
    )
    people = (
        step(
            "how_many",
            work=Ask(
                Constant("How many?"),
                InputSpec(type="integer", minimum=1),
                choices=ListValue((Constant(1), Constant(2))),
                default=Constant(None),
            ),
        ),
        step(
            "publish", work=Approve(Constant("Publish?"), template("{{ tidy }}"), editable=True, default=Constant(True))
        ),
        step(
            "order",
            work=Ask(
                Constant(""),
                InputSpec(type="object", required=True),
                questions={
                    "count": Ask(Constant("How many?"), InputSpec(type="integer"), default=Constant(1)),
                    "name": Ask(template("For whom is {{ t }}?"), InputSpec()),
                },
                audience=Audience(
                    template("{{ t }}"), Constant(60.0), template("{{ n }}"), ListValue((Constant("c"),))
                ),
            ),
        ),
        step("tomorrow", work=Wait(until=template("{{ t }}"))),
        step("pause", work=Wait(duration=Constant(300))),
        step("share", work=Computation(template("{{ n / 2 }}"))),
        step("finish", work=End({"saved": template("{{ t }}")}), condition="t > 9"),
        step("refuse", work=Failure(template("{{ t }} is too late"), "TooLate"), condition="publish.approved == false"),
    )
    handlers = (
        Handler(("TimeoutError",), ("^busy",), RetryPolicy(2), block("notify"), Constant("none")),
        Handler(fallback=Constant(None)),
    )
    good = Check(
        (parse_expression("output | length > 2"), parse_expression("output != topic")),
        {"type": "object", "required": ["title"]},
        Judge(Constant("It is kind."), template("{{ judge_model }}"), 0.5),
        max_attempts=3,
    )
    last = (
        step(
            "save",
            "publish",
            work=call("split", value=template("{{ tidy }}"), deep={"by": [1, None]}),
            condition="publish.approved",
            retry=RetryPolicy(2, delay=0.5),
            timeout=9.5,
            on_failure=OnFailure("jump", target="alarm"),
            on_success="done",
            on_false="alarm",
            skips={"on_success": ("alarm",), "on_failure": (), "on_false": ()},
            on_error=handlers,
            on_resume="ask",
            cache=CachePolicy(86400.0, template("{{ n }}"), "pipeline"),
            check=good,
            produces=(Constant("notes.txt"), template("{{ output }}")),
            budget=Budget(0.5, 20_000, 10),
            metadata={"owner": "me"},
            name="Save it",
            description="Saves it",
        ),
        step("alarm", "save", on_failure=OnFailure("value", value=Constant(None)), cache=CachePolicy(), check=Check()),
        step("done", "save", "alarm", on_failure=OnFailure("continue")),
    )
    rows = InputSpec(
        type="array", required=True, description="Rows", items=InputSpec(properties={"x": InputSpec(default=None)})
    )
    return plan(
        *loops,
        *branches,
        agent,
        *people,
        *last,
        name="Everything",
        description="All of it",
        version="1",
        inputs={"rows": rows, "kind": InputSpec(default="a", enum=["a", "b"])},
        variables={"n": Constant(4), "t": template("{{ n + 1 }}")},
        outputs={"saved": OutputPlan("saved", template("{{ save }}"), STRING, "What was saved", ("save",))},
        finally_=block("close"),
        error_handlers=(Handler(("ORC7",), body=block("report")),),
        pipelines={"other.yaml": called},
        max_parallel=4,
        budget=Budget(usd=2.0),
        concurrency=ConcurrencyPlan(template("{{ topic }}"), 3, "skip"),
        notify=NotifyPlan(
            NoticePlan(("oncall", "team")),
            NoticePlan(("team",), template("{{ notice.text }}")),
            NoticePlan(("team",), at=0.5),
        ),
        metadata={"team": "us"},
        autos=(AutoValue("clean.parameters.value", "How?", {"type": "string"}, False),),
        lock=("other.yaml.lock", "version: 1"),
    )
