"""Pictures of plans."""

import itertools
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.expressions import Constant, MappingValue
from orchestrator.plan.model import Plan
from orchestrator.plan.policies import OnFailure
from orchestrator.plan.steps import Approve, CaseKey, Handler, StepPlan, SubPipeline
from orchestrator.plan.views import layout
from orchestrator.plan.views.graph import MOST_STEPS, GraphEdge, edges
from orchestrator.plan.views.layout import lay_out
from orchestrator.plan.views.mermaid import to_mermaid
from orchestrator.plan.views.svg import to_svg
from tests.plans import block, every_construct, for_each, group, plan, step, switch, until

SVG = "{http://www.w3.org/2000/svg}"
GOLDEN = Path(__file__).parent / "graphs"
UPDATE = bool(os.environ.get("UPDATE_CONFORMANCE"))


def jump(target: str) -> OnFailure:
    return OnFailure("jump", target=target)


def review() -> Plan:
    """A pipeline such as people write: a loop with a loop and a switch in it, a jump, a question, an end."""
    judged = step("judge", "b", "c", work=switch("{{ b }}", block("z"), x=block("x1", step("x2", "x1")), y=block("y1")))
    refine = until("judge.ok", "a", step("b", "a"), step("c", "a"), judged)
    rows = for_each("draft", step("score", "draft"), step("refine", "score", work=refine))
    handlers = (Handler(("TimeoutError",), body=block("tell")), Handler(body=block("note")))
    publish = Approve(Constant("Publish the whole thing now?"), Constant(1))
    return plan(
        "fetch",
        step("clean", "fetch"),
        step("translate", "clean", work=rows, on_error=handlers),
        step("small", "clean", on_failure=jump("alarm"), on_success="publish"),
        step("alarm", "small"),
        step("check", "small", "clean"),
        step("publish", "translate", "check", "alarm", work=publish, condition="check.ok"),
        finally_=block("close", step("mail", "close")),
    )


PICTURES = {"review": review, "every_construct": every_construct}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(("kind", "draw"), [("mmd", to_mermaid), ("svg", to_svg)], ids=["mermaid", "svg"])
def test_a_plan_is_drawn_as_its_file_shows(name: str, kind: str, draw: object) -> None:
    assert callable(draw)
    drawn, file = draw(PICTURES[name]()), GOLDEN / f"{name}.{kind}"
    if UPDATE:
        file.write_text(drawn, encoding="utf-8")
    assert drawn == file.read_text(encoding="utf-8")


def pairs_of(found: list[GraphEdge]) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.target, edge.kind) for edge in found}


def test_edges_that_a_longer_path_implies_are_left_out() -> None:
    drawn = edges((step("a"), step("b", "a"), step("c", "a", "b"), step("d", "a", "c")))
    assert pairs_of(drawn) == {("a", "b", "data"), ("b", "c", "data"), ("c", "d", "data")}


def test_jumps_are_drawn_as_jumps_with_their_kind() -> None:
    drawn = plan(step("a", on_success="done", on_failure=jump("alarm")), step("alarm", "a"), step("done", "a"))
    assert pairs_of(edges(drawn.steps)) == {("a", "done", "on_success"), ("a", "alarm", "on_failure")}
    text = to_mermaid(drawn)
    assert 's0 -. "on success" .-> s2' in text
    assert 's0 -. "on failure" .-> s1' in text
    assert ">on failure</text>" in to_svg(drawn)


def test_two_jumps_between_the_same_steps_share_their_words() -> None:
    assert ">if false, on failure</text>" in to_svg(plan(step("a", on_false="b", on_failure=jump("b")), step("b", "a")))


@pytest.mark.parametrize("kind", ["on_success", "on_false"])
def test_the_words_of_a_jump_are_on_the_page(kind: str) -> None:
    root = ElementTree.fromstring(to_svg(plan(step("a", **{kind: "b"}), step("b", "a"))))
    (label,) = (text for text in root.iter(f"{SVG}text") if text.attrib["class"].startswith("label"))
    assert label.text
    assert float(label.attrib["x"]) + 5 * len(label.text) < float(root.attrib["width"])


def test_a_condition_is_seen() -> None:
    drawn = plan(step("a"), step("b", "a", condition="x > 1"))
    assert "s1([" in to_mermaid(drawn)
    assert "only if x &gt; 1" in to_svg(drawn)


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
@settings(max_examples=60)
def test_no_text_breaks_out_of_the_picture(name: str, text: str) -> None:
    cases = replace(switch("{{ x }}", a=block("z")), cases=((CaseKey(text, text), block("z")),))
    drawn = plan(step("a", name=name, description=text, work=cases), step("b", "a", condition=text or "x"), name=name)
    root = ElementTree.fromstring(to_svg(drawn))
    assert len(list(root.iter(f"{SVG}title"))) == 1 + 3
    assert len(to_mermaid(drawn).splitlines()) == 1 + (3 if not text else 5) + 2


def test_a_pipeline_that_calls_itself_is_drawn_once_within_itself() -> None:
    again = step("again", work=SubPipeline("p.yaml", MappingValue({}), max_depth=5))
    drawn = plan(again, pipelines={"p.yaml": plan(again)})
    assert to_mermaid(drawn).count("again<br/>") == 2


def test_pipelines_that_call_each_other_twice_do_not_make_an_endless_picture() -> None:
    def caller(level: int) -> Plan:
        calls = [SubPipeline(f"{level + 1}.yaml", MappingValue({}))] * 2
        return plan(*(step(f"call_{side}", work=work) for side, work in enumerate(calls)))

    drawn = replace(caller(0), pipelines={f"{level}.yaml": caller(level) for level in range(1, 40)})
    assert to_mermaid(drawn).count("pipeline ") <= MOST_STEPS


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, tuple[float, float]], list[tuple[str, str]]]:
    count = draw(st.integers(0, 25))
    sizes = {f"n{i}": (draw(st.floats(40, 300)), draw(st.floats(20, 200))) for i in range(count)}
    indices = st.integers(0, max(0, count - 1))
    drawn = draw(st.lists(st.tuples(indices, indices), max_size=60)) if count else []
    return sizes, [(f"n{min(pair)}", f"n{max(pair)}") for pair in drawn if pair[0] != pair[1]]


@given(graphs())
@settings(max_examples=100)
def test_edges_point_down_and_boxes_never_overlap(
    graph: tuple[dict[str, tuple[float, float]], list[tuple[str, str]]],
) -> None:
    sizes, pairs = graph
    placed = lay_out(sizes, pairs)
    assert set(placed.boxes) == set(sizes)
    for source, target in pairs:
        assert placed.boxes[source][1] + sizes[source][1] + layout.GAP_Y <= placed.boxes[target][1] + 0.01
        ys = [y for _, y in placed.lines[source, target]]
        assert ys == sorted(ys)
    rows: dict[float, list[tuple[float, float]]] = {}
    for box, (x, y) in placed.boxes.items():
        width, height = sizes[box]
        rows.setdefault(y, []).append((x - width / 2, x + width / 2))
        assert x - width / 2 >= -0.01
        assert x + width / 2 <= placed.width + 0.01
        assert y + height <= placed.height + 0.01
    for spans in rows.values():
        spans.sort()
        assert all(left[1] < right[0] for left, right in itertools.pairwise(spans))


def test_boxes_without_edges_are_set_in_rows_of_bounded_width() -> None:
    sizes = {f"n{i}": (200.0, 40.0) for i in range(50)}
    placed = lay_out(sizes, [("n0", "n1"), ("n1", "n2")])
    assert placed.width <= layout.WIDEST_ROW
    in_order = sorted(placed.boxes, key=lambda box: placed.boxes[box][::-1])
    assert [box for box in in_order if box not in ("n0", "n1", "n2")] == [f"n{i}" for i in range(3, 50)]


def nested() -> st.SearchStrategy[StepPlan]:
    """A step with steps within steps; each depends on some of those before it in its block."""
    names = itertools.count()

    def blocks(inner: st.SearchStrategy[StepPlan]) -> st.SearchStrategy[tuple[StepPlan, ...]]:
        def joined(steps: list[StepPlan], bits: int) -> tuple[StepPlan, ...]:
            # Steps are drawn once and may come again: each gets an id of its own.
            result: list[StepPlan] = []
            for number, one in enumerate(steps):
                before = [other.id for place, other in enumerate(result) if bits >> (number + place) & 1]
                result.append(replace(one, id=f"n{next(names)}", dependencies=tuple(before)))
            return tuple(result)

        return st.builds(joined, st.lists(inner, min_size=1, max_size=4), st.integers(0, 255))

    def deeper(inner: st.SearchStrategy[StepPlan]) -> st.SearchStrategy[StepPlan]:
        some = blocks(inner)
        return st.one_of(
            some.map(lambda steps: step("loop", work=for_each(*steps))),
            some.map(lambda steps: step("group", work=group(*steps, parallel=True))),
            st.lists(some, min_size=1, max_size=3).map(
                lambda cases: step(
                    "switch", work=switch("{{ x }}", **{f"c{i}": block(*c) for i, c in enumerate(cases)})
                )
            ),
            some.map(lambda steps: step("call", on_error=(Handler(("TimeoutError",), body=block(*steps)),))),
        )

    return st.recursive(st.builds(lambda: step("leaf")), deeper, max_leaves=12)


def rectangles(element: ElementTree.Element, x: float, y: float) -> Iterator[tuple[int, tuple[float, ...]]]:
    """The rectangles directly within a group, or in those of its groups that have none themselves; absolute."""
    for child in element.findall(f"{SVG}g"):
        dx, dy = map(float, child.attrib["transform"].removeprefix("translate(").removesuffix(")").split())
        own = [rect for rect in child.findall(f"{SVG}rect") if "behind" not in rect.attrib["class"]]
        for rect in own:
            width, height = float(rect.attrib["width"]), float(rect.attrib["height"])
            yield id(child), (x + dx, y + dy, x + dx + width, y + dy + height)
        if not own:
            yield from rectangles(child, x + dx, y + dy)


def groups(element: ElementTree.Element, x: float, y: float) -> Iterator[tuple[ElementTree.Element, float, float]]:
    """Every group with where it is."""
    for child in element.findall(f"{SVG}g"):
        dx, dy = map(float, child.attrib["transform"].removeprefix("translate(").removesuffix(")").split())
        yield child, x + dx, y + dy
        yield from groups(child, x + dx, y + dy)


@given(nested())
@settings(max_examples=60)
def test_what_is_within_a_step_lies_within_its_frame_and_beside_its_siblings(one: StepPlan) -> None:
    root = ElementTree.fromstring(to_svg(plan(one)))
    whole = (0.0, 0.0, float(root.attrib["width"]), float(root.attrib["height"]))
    for element, x, y in [(root, 0.0, 0.0), *groups(root, 0.0, 0.0)]:
        own = [rect for rect in element.findall(f"{SVG}rect") if "page" not in rect.attrib["class"]]
        frame = whole
        if own:
            width, height = float(own[-1].attrib["width"]), float(own[-1].attrib["height"])
            frame = (x, y, x + width, y + height)
        within = [place for _, place in rectangles(element, x, y)]
        for left, top, right, bottom in within if own or element is root else ():
            assert frame[0] < left
            assert frame[1] < top
            assert right < frame[2]
            assert bottom < frame[3]
        for first, second in itertools.combinations(within, 2):
            apart = first[2] < second[0] or second[2] < first[0] or first[3] < second[1] or second[3] < first[1]
            assert apart, (first, second)
