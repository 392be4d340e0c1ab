"""Pictures of a plan: Mermaid text, and a self-contained SVG laid out in layers.

The layout is the layered one of Sugiyama, Tagawa and Toda (1981): a step's layer is the length of the longest path
to it, steps within a layer are ordered by the mean position of their neighbours (the barycentre), in sweeps down and
up, and an edge over several layers keeps a lane of its own between the boxes that it passes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.compiler.plan import Plan, StepPlan

EdgeKind = Literal["data", "on_success", "on_false", "on_failure"]

_LABELS: Final = {"data": "", "on_success": "on success", "on_false": "if false", "on_failure": "on failure"}

BOX_HEIGHT: Final = 46.0
GAP_X: Final = 28.0
GAP_Y: Final = 44.0
LANE: Final = 10.0
MARGIN: Final = 20.0
CHARACTER: Final = 7.4
SMALL_CHARACTER: Final = 5.6
WIDEST: Final = 34
SWEEPS: Final = 8
LARGEST_REDUCED: Final = 20_000
MOST_CROSSINGS: Final = 40_000

_MERMAID: Final = {
    ord(c): f"#{name};" for c, name in {"#": "35", "&": "amp", "<": "lt", ">": "gt", '"': "quot"}.items()
}


@dataclass(frozen=True, slots=True)
class Edge:
    """One step must end before another, or jumps to it."""

    source: str
    target: str
    kind: EdgeKind = "data"


def edges(plan: Plan) -> list[Edge]:
    """Return the plan's edges: dependencies, without those that longer paths imply, and jumps with their kind."""
    known = {step.id for step in plan.steps}
    jumps = [jump for step in plan.steps for jump in _jumps(step) if jump.target in known]
    jumping = {(jump.source, jump.target) for jump in jumps}
    pairs = [(dependency, step.id) for step in plan.steps for dependency in step.dependencies if dependency in known]
    pairs = list(dict.fromkeys([*pairs, *jumping]))
    kept = _without_implied([step.id for step in plan.steps], pairs) - jumping
    return [*(Edge(*pair) for pair in pairs if pair in kept), *jumps]


def _without_implied(boxes: Sequence[str], pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the pairs that no longer path implies (the transitive reduction; Aho, Garey and Ullman, 1972).

    What is above a box is a set of bits: n boxes cost n^2 bits, so that very large graphs are left as they are.
    """
    if len(boxes) > LARGEST_REDUCED:
        return set(pairs)
    depth = layers(boxes, pairs)
    bit = {box: 1 << number for number, box in enumerate(boxes)}
    sources: dict[str, list[str]] = defaultdict(list)
    for source, target in pairs:
        sources[target].append(source)
    above = dict.fromkeys(boxes, 0)
    kept = set()
    for box in sorted(boxes, key=depth.__getitem__):
        # From the deepest: whatever implies another source lies below it.
        for source in sorted(sources[box], key=depth.__getitem__, reverse=True):
            if not above[box] & bit[source]:
                kept.add((source, box))
                above[box] |= above[source] | bit[source]
    return kept


def _jumps(step: StepPlan) -> Iterable[Edge]:
    if step.on_success:
        yield Edge(step.id, step.on_success, "on_success")
    if step.on_false:
        yield Edge(step.id, step.on_false, "on_false")
    if step.on_failure.kind == "jump" and step.on_failure.target:
        yield Edge(step.id, step.on_failure.target, "on_failure")


def to_mermaid(plan: Plan) -> str:
    """Return the plan as a Mermaid flowchart.

    Boxes are steps; a condition makes a rounded box; dotted arrows are jumps.
    """
    keys = {step.id: f"s{position}" for position, step in enumerate(plan.steps)}
    lines = ["flowchart TD"]
    for step in plan.steps:
        label = f'"{_mermaid(step.id)}<br/><small>{_mermaid(_what(step))}</small>"'
        box = f"([{label}])" if step.condition is not None else f"[{label}]"
        lines.append(f"    {keys[step.id]}{box}")
    for edge in edges(plan):
        source, target = keys[edge.source], keys[edge.target]
        arrow = f'-. "{_LABELS[edge.kind]}" .->' if edge.kind != "data" else "-->"
        lines.append(f"    {source} {arrow} {target}")
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    """Escape text for a quoted Mermaid label, where `#` begins an entity."""
    return " ".join(_printable(text).split()).translate(_MERMAID)


def _what(step: StepPlan) -> str:
    """What a step does, in a few words."""
    tool, action = step.work.tool.name, step.work.action.name
    return tool if tool == action else f"{tool} {action}"


def to_svg(plan: Plan) -> str:
    """Return the plan as an SVG picture that needs no other file, readable on light and on dark pages."""
    steps = {step.id: step for step in plan.steps}
    drawn = edges(plan)
    layout = lay_out({step.id: _width(step) for step in plan.steps}, [(edge.source, edge.target) for edge in drawn])
    labels = [_label(edge, layout.lines[edge.source, edge.target]) for edge in drawn if _LABELS[edge.kind]]
    width = max([layout.width, *(label.right + MARGIN for label in labels)])
    title = escape(_printable(plan.name or plan.id))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {layout.height:.0f}" '
        f'width="{width:.0f}" height="{layout.height:.0f}" role="img" aria-label="{title}">',
        f"<title>{title}</title>",
        _style(),
        _MARKERS,
        '<rect class="page" width="100%" height="100%"/>',
    ]
    for edge in drawn:
        kind, points = _class(edge), layout.lines[edge.source, edge.target]
        parts.append(f'<path class="edge {kind}" d="{_curve(points)}" marker-end="url(#{kind})"/>')
    for label in labels:
        place = f'x="{label.x:.1f}" y="{label.y:.1f}"'
        parts.append(f'<text class="label {_class(label.edge)}" {place}>{_LABELS[label.edge.kind]}</text>')
    for step_id, (x, y) in layout.boxes.items():
        parts.append(_box(steps[step_id], x, y))
    return "\n".join([*parts, "</svg>\n"])


@dataclass(frozen=True, slots=True)
class _Label:
    """The words beside an edge; `x` is where they begin and `y` their base line."""

    edge: Edge
    x: float
    y: float

    @property
    def right(self) -> float:
        return self.x + SMALL_CHARACTER * len(_LABELS[self.edge.kind])


def _label(edge: Edge, points: Sequence[tuple[float, float]]) -> _Label:
    (x0, y0), (x1, y1) = points[0], points[1]
    return _Label(edge, (x0 + x1) / 2 + 5, (y0 + y1) / 2 + 3)


def _class(edge: Edge) -> str:
    return "data" if edge.kind == "data" else "failure" if edge.kind == "on_failure" else "jump"


def _style() -> str:
    """Return the style sheet: plain rules, as many viewers know no variables, then the dark ones."""
    light = _rules("#f6f8fa", "#8c959f", "#1f2328", "#59636e", "#0969da", "#cf222e", "#ffffff")
    dark = _rules("#21262d", "#6e7681", "#e6edf3", "#9198a1", "#58a6ff", "#ff7b72", "#0d1117")
    fonts = 'text { font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif }'
    return f"<style>\n{fonts}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n</style>"


def _rules(box: str, line: str, text: str, soft: str, accent: str, bad: str, page: str) -> str:
    return f"""\
.page {{ fill: {page} }}
.box {{ fill: {box}; stroke: {line} }} .conditional {{ stroke: {accent}; stroke-dasharray: 5 3 }}
.id {{ fill: {text}; font-size: 13px; font-weight: 600 }} .what {{ fill: {soft}; font-size: 11px }}
.edge {{ fill: none; stroke: {line}; stroke-width: 1.3 }}
.edge.jump {{ stroke: {accent}; stroke-dasharray: 4 3 }} .edge.failure {{ stroke: {bad}; stroke-dasharray: 4 3 }}
.label {{ font-size: 10px; stroke: {page}; stroke-width: 3px; paint-order: stroke }}
.label.jump {{ fill: {accent} }} .label.failure {{ fill: {bad} }}
.tip.data {{ fill: {line} }} .tip.jump {{ fill: {accent} }} .tip.failure {{ fill: {bad} }}"""


_MARKERS: Final = (
    "<defs>"
    + "".join(
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path class="tip {kind}" d="M0 0.5 8 4 0 7.5z"/></marker>'
        for kind in ("data", "jump", "failure")
    )
    + "</defs>"
)


def _box(step: StepPlan, x: float, y: float) -> str:
    width = _width(step)
    kind = "box conditional" if step.condition is not None else "box"
    hint = f"{step.name or step.id}: {_what(step)}"
    if step.condition is not None:
        hint += f"\nonly if {step.condition.text}"
    if step.description:
        hint += f"\n{step.description}"
    return (
        f"<g><title>{escape(_printable(hint, keep=chr(10)))}</title>"
        f'<rect class="{kind}" x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BOX_HEIGHT:.0f}"'
        ' rx="8"/>'
        f'<text class="id" x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{escape(_cut(step.id))}</text>'
        f'<text class="what" x="{x:.1f}" y="{y + 36:.1f}" text-anchor="middle">{escape(_cut(_what(step)))}</text></g>'
    )


def _printable(text: str, keep: str = "") -> str:
    """Drop characters that XML does not allow and pictures cannot show."""
    return "".join(c if c.isprintable() or c in keep else " " for c in text)


def _cut(text: str) -> str:
    text = _printable(text)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def _width(step: StepPlan) -> float:
    return max(90.0, 26 + CHARACTER * max(len(_cut(step.id)) * 1.08, len(_cut(_what(step))) * 0.85))


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """Draw a line through the points, vertical at each of them."""
    (x, y), path = points[0], []
    path.append(f"M{x:.1f} {y:.1f}")
    for next_x, next_y in points[1:]:
        middle = (y + next_y) / 2
        path.append(f"C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return "".join(path)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is: the top centre of each box, and the points of each edge from top to bottom."""

    boxes: Mapping[str, tuple[float, float]]
    lines: Mapping[tuple[str, str], Sequence[tuple[float, float]]]
    width: float
    height: float


Node = str | tuple[str, str, int]
"""A box, or the place where an edge (source, target) crosses a layer."""


def lay_out(widths: Mapping[str, float], pairs: Sequence[tuple[str, str]]) -> Layout:
    """Place boxes of the given widths so that every pair points downwards.

    `pairs` must have no cycle. The work is linear in boxes and crossed layers per sweep, with a fixed number of sweeps.
    """
    layer_of = layers(list(widths), pairs)
    rows, chains = _with_crossings(list(widths), pairs, layer_of)
    neighbours = _neighbours(chains)
    _order(rows, *neighbours)
    width_of = {node: widths[node] if isinstance(node, str) else LANE for row in rows for node in row}
    x_of = _place(rows, width_of, *neighbours)
    left = min((x_of[node] - width_of[node] / 2 for row in rows for node in row), default=0.0)
    x_of = {node: x - left + MARGIN for node, x in x_of.items()}
    right = max((x_of[node] + width_of[node] / 2 for row in rows for node in row), default=MARGIN)
    top_of = [MARGIN + number * (BOX_HEIGHT + GAP_Y) for number in range(len(rows))]
    lines = {}
    for (source, target), chain in chains.items():
        points = [(x_of[source], top_of[layer_of[source]] + BOX_HEIGHT)]
        for offset, node in enumerate(chain[1:-1], start=1):
            top = top_of[layer_of[source] + offset]
            points += [(x_of[node], top), (x_of[node], top + BOX_HEIGHT)]
        points.append((x_of[target], top_of[layer_of[target]]))
        lines[source, target] = points
    boxes = {box: (x_of[box], top_of[layer_of[box]]) for box in widths}
    height = len(rows) * (BOX_HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN if rows else 2 * MARGIN
    return Layout(boxes, lines, right + MARGIN, height)


def layers(boxes: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return for each box the number of edges on the longest path that leads to it."""
    followers: dict[str, list[str]] = defaultdict(list)
    waiting = dict.fromkeys(boxes, 0)
    for source, target in pairs:
        followers[source].append(target)
        waiting[target] += 1
    depth = dict.fromkeys(boxes, 0)
    ready = [box for box in boxes if not waiting[box]]
    for box in ready:
        for follower in followers[box]:
            depth[follower] = max(depth[follower], depth[box] + 1)
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    return depth


def _with_crossings(
    boxes: Sequence[str], pairs: Sequence[tuple[str, str]], layer_of: Mapping[str, int]
) -> tuple[list[list[Node]], dict[tuple[str, str], list[Node]]]:
    """Return the rows of nodes, and for each edge the nodes that it runs through, one in each layer."""
    rows: list[list[Node]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for box in boxes:
        rows[layer_of[box]].append(box)
    chains: dict[tuple[str, str], list[Node]] = {}
    spans = sum(layer_of[target] - layer_of[source] - 1 for source, target in pairs)
    # Beyond the budget, which no readable picture reaches, long edges run straight.
    longest = len(rows) if spans <= MOST_CROSSINGS else max(1, MOST_CROSSINGS // max(1, len(pairs)))
    for source, target in dict.fromkeys(pairs):
        between = range(layer_of[source] + 1, layer_of[target])
        crossings: list[Node] = [(source, target, layer) for layer in between if len(between) < longest]
        for node, layer in zip(crossings, between, strict=False):
            rows[layer].append(node)
        chains[source, target] = [source, *crossings, target]
    return rows, chains


def _neighbours(chains: Mapping[tuple[str, str], list[Node]]) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    above: dict[Node, list[Node]] = defaultdict(list)
    below: dict[Node, list[Node]] = defaultdict(list)
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    return above, below


def _order(rows: list[list[Node]], above: Mapping[Node, list[Node]], below: Mapping[Node, list[Node]]) -> None:
    """Order each row by the mean position of its neighbours in the row before, sweeping down and up."""
    position = {node: float(number) for row in rows for number, node in enumerate(row)}

    def sort_row(row: list[Node], neighbours: Mapping[Node, list[Node]]) -> None:
        def centre(node: Node) -> float:
            near = neighbours.get(node)
            return sum(position[other] for other in near) / len(near) if near else position[node]

        row.sort(key=centre)
        position.update((node, float(number)) for number, node in enumerate(row))

    for _ in range(SWEEPS):
        for row in rows[1:]:
            sort_row(row, above)
        for row in reversed(rows[:-1]):
            sort_row(row, below)


def _place(
    rows: list[list[Node]],
    width_of: Mapping[Node, float],
    above: Mapping[Node, list[Node]],
    below: Mapping[Node, list[Node]],
) -> dict[Node, float]:
    """Give every node an x: near its neighbours, with the row's order and gaps kept."""
    x_of: dict[Node, float] = {}
    for row in rows:
        x = 0.0
        for node in row:
            x_of[node] = x + width_of[node] / 2
            x += width_of[node] + GAP_X
        for node in row:
            x_of[node] -= (x - GAP_X) / 2
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            neighbours = above if downwards else below
            wanted = []
            for node in row:
                near = neighbours.get(node)
                wanted.append(sum(x_of[other] for other in near) / len(near) if near else x_of[node])
            x_of.update(zip(row, _spread(wanted, [width_of[node] for node in row]), strict=True))
    return x_of


def _spread(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Return the places nearest to the wanted ones (least squares) that keep order and gaps.

    Pool adjacent violators (Ayer et al., 1955): neighbours that would overlap move as one block to their mean.
    """
    offsets, x = [], 0.0
    for position, width in enumerate(widths):
        if position:
            x += (widths[position - 1] + width) / 2 + GAP_X
        offsets.append(x)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            previous_total, previous_count = blocks.pop()
            total, count = total + previous_total, count + previous_count
        blocks.append((total, count))
    starts = [total / count for total, count in blocks for _ in range(count)]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]
