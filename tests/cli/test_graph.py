"""Pictures of plans."""

import itertools
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.compiler.graph import BOX_HEIGHT, edges, lay_out, to_mermaid, to_svg


def step(id: str, *dependencies: str, condition: str | None = None, **more: Any) -> Any:
    named = {"name": "", "description": "", "on_success": None, "on_false": None, "skips": {}, **more}
    named.setdefault("on_failure", SimpleNamespace(kind="fail", target=None))
    work = SimpleNamespace(tool=SimpleNamespace(name="text"), action=SimpleNamespace(name="split"))
    tested = SimpleNamespace(text=condition) if condition else None
    return SimpleNamespace(id=id, work=work, dependencies=dependencies, condition=tested, **named)


def plan(*steps: Any, name: str = "") -> Any:
    return SimpleNamespace(id="p", name=name, steps=steps)


def pairs_of(found: list[Any]) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.target, edge.kind) for edge in found}


def test_edges_that_a_longer_path_implies_are_left_out() -> None:
    drawn = edges(plan(step("a"), step("b", "a"), step("c", "a", "b"), step("d", "a", "c")))
    assert pairs_of(drawn) == {("a", "b", "data"), ("b", "c", "data"), ("c", "d", "data")}


def test_jumps_are_drawn_as_jumps_with_their_kind() -> None:
    failing = SimpleNamespace(kind="jump", target="alarm")
    drawn = plan(step("a", on_success="done", on_failure=failing), step("alarm", "a"), step("done", "a"))
    assert pairs_of(edges(drawn)) == {("a", "done", "on_success"), ("a", "alarm", "on_failure")}
    text = to_mermaid(drawn)
    assert 's0 -. "on success" .-> s2' in text
    assert 's0 -. "on failure" .-> s1' in text
    assert ">on failure</text>" in to_svg(drawn)


@pytest.mark.parametrize("kind", ["on_success", "on_false"])
def test_the_words_of_a_jump_are_on_the_page(kind: str) -> None:
    root = ElementTree.fromstring(to_svg(plan(step("a", **{kind: "b"}), step("b", "a"))))
    (label,) = root.findall("{http://www.w3.org/2000/svg}text")
    assert label.text
    assert float(label.attrib["x"]) + 5 * len(label.text) < float(root.attrib["width"])


def test_a_condition_is_seen() -> None:
    drawn = plan(step("a"), step("b", "a", condition="x > 1"))
    assert "s1([" in to_mermaid(drawn)
    assert "only if x &gt; 1" in to_svg(drawn)


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_out_of_the_picture(name: str, condition: str) -> None:
    drawn = plan(step("a", name=name, description=condition), step("b", "a", condition=condition or "x"), name=name)
    root = ElementTree.fromstring(to_svg(drawn))
    assert len(root.findall("{http://www.w3.org/2000/svg}g")) == 2
    assert len(to_mermaid(drawn).splitlines()) == 4


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, float], list[tuple[str, str]]]:
    count = draw(st.integers(0, 25))
    widths = {f"n{i}": draw(st.floats(40, 300)) for i in range(count)}
    indices = st.integers(0, max(0, count - 1))
    drawn = draw(st.lists(st.tuples(indices, indices), max_size=60)) if count else []
    return widths, [(f"n{min(pair)}", f"n{max(pair)}") for pair in drawn if pair[0] != pair[1]]


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_edges_point_down_and_boxes_never_overlap(graph: tuple[dict[str, float], list[tuple[str, str]]]) -> None:
    widths, pairs = graph
    layout = lay_out(widths, pairs)
    assert set(layout.boxes) == set(widths)
    for source, target in pairs:
        assert layout.boxes[source][1] + BOX_HEIGHT < layout.boxes[target][1]
        ys = [y for _, y in layout.lines[source, target]]
        assert ys == sorted(ys)
    rows: dict[float, list[tuple[float, float]]] = {}
    for box, (x, y) in layout.boxes.items():
        rows.setdefault(y, []).append((x - widths[box] / 2, x + widths[box] / 2))
        assert x - widths[box] / 2 >= 0
        assert x + widths[box] / 2 <= layout.width
        assert y + BOX_HEIGHT <= layout.height
    for spans in rows.values():
        spans.sort()
        assert all(left[1] < right[0] for left, right in itertools.pairwise(spans))
