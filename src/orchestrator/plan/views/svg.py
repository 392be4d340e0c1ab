"""A plan as an SVG picture: a box for each step, and nested frames for steps that contain steps."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.plan.views.graph import LABELS, GraphEdge, GraphNode, GraphSection, States, graph_of
from orchestrator.plan.views.layout import GraphLayout, lay_out
from orchestrator.text.lines import display_width
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.plan.model import Plan

MARGIN: Final = 20.0
BOX_HEIGHT: Final = 46.0
HEADER: Final = 46.0
LABEL: Final = 20.0
PADDING: Final = 14.0
BETWEEN: Final = 16.0
CHARACTER: Final = 8.0
SOFT_CHARACTER: Final = 6.3
CAPTION_CHARACTER: Final = 7.2
SMALL_CHARACTER: Final = 5.8
WIDEST_TEXT: Final = 34
WIDEST_ROW: Final = 1_500.0


class Label(Struct, frozen=True):
    """The label of an edge; `x` is its left edge and `y` its baseline."""

    text: str
    kind: str
    x: float
    y: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + SMALL_CHARACTER * len(self.text)


class Part(Struct, frozen=True):
    """A section with its layout. Its position is relative to its frame, and those of its nodes are relative to it.

    A section with a label has its own frame.
    """

    section: GraphSection
    left: float
    top: float
    width: float
    height: float
    layout: GraphLayout
    labels: tuple[Label, ...]
    boxes: tuple[Box, ...]


class Box(Struct, frozen=True):
    """A node and its size, with all parts inside it."""

    node: GraphNode
    width: float
    height: float
    parts: tuple[Part, ...] = ()


def to_svg(plan: Plan, states: States | None = None) -> str:
    """Return the plan as a self-contained SVG picture, readable on light and dark pages.

    With `states`, it shows the state of a run.
    """
    graph = graph_of(plan, states)
    steps = _part(graph.steps, MARGIN, MARGIN)
    below, afterwards_width, bottom = [], 0.0, steps.top + steps.height
    for node in graph.afterwards:
        box = measured(node)
        top = bottom + BETWEEN if bottom > MARGIN else MARGIN
        below.append((box, top))
        bottom, afterwards_width = top + box.height, max(afterwards_width, box.width)
    width, height = max(steps.width, afterwards_width) + 2 * MARGIN, bottom + MARGIN
    title = escape(_printable(graph.title))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{title}">',
        f"<title>{title}</title>",
        _style(_STATES if states is not None else ""),
        _MARKERS,
        '<rect class="page" width="100%" height="100%"/>',
        *_drawn_part(steps),
    ]
    for box, top in below:
        lines += _drawn(box, MARGIN, top)
    return "\n".join([*lines, "</svg>\n"])


def measured(node: GraphNode) -> Box:
    """Lay out the sections of a node, and set its size."""
    heading = 26 + max(_columns(node.title) * CHARACTER, _columns(node.what) * SOFT_CHARACTER)
    if not node.sections:
        return Box(node, max(90.0, heading), BOX_HEIGHT)
    rows: list[list[Part]] = [[]]
    left, top = PADDING, HEADER
    for section in node.sections:
        part = _part(section, left, top)
        if rows[-1] and left + part.width > WIDEST_ROW:
            left, top = PADDING, top + max(earlier.height for earlier in rows[-1]) + BETWEEN
            part = replace(part, left=left, top=top)
            rows.append([])
        rows[-1].append(part)
        left += part.width + BETWEEN
    width = max(heading, *(row[-1].left + row[-1].width + PADDING for row in rows))
    height = top + max(part.height for part in rows[-1]) + PADDING
    return Box(node, width, height, tuple(part for row in rows for part in _centred(row, width)))


def _centred(row: list[Part], width: float) -> list[Part]:
    shift = (width - PADDING - row[-1].left - row[-1].width) / 2
    return [replace(part, left=part.left + shift) for part in row]


def _part(section: GraphSection, left: float, top: float) -> Part:
    boxes = tuple(measured(node) for node in section.nodes)
    sizes = {box.node.key: (box.width, box.height) for box in boxes}
    layout = lay_out(sizes, [(edge.source, edge.target) for edge in section.edges])
    labels = tuple(_labels(section, layout))
    width, height = max([layout.width, *(label.right for label in labels)]), layout.height
    if section.label:
        width = max(width, _columns(section.label) * CAPTION_CHARACTER) + 2 * PADDING
        height += LABEL + 2 * PADDING
    return Part(section, left, top, width, height, layout, labels, boxes)


def _drawn_part(part: Part) -> Iterator[str]:
    yield f'<g transform="translate({part.left:.1f} {part.top:.1f})">'
    x, y = (PADDING, PADDING + LABEL) if part.section.label else (0.0, 0.0)
    if part.section.label:
        yield (
            f'<rect class="section {part.section.kind}" width="{part.width:.1f}" height="{part.height:.1f}" rx="6"/>'
            f'<text class="caption {part.section.kind}" x="{PADDING:.1f}" y="20">'
            f"{escape(_cut(part.section.label))}</text>"
        )
    yield f'<g transform="translate({x:.1f} {y:.1f})">'
    for edge in part.section.edges:
        kind, points = _class(edge), part.layout.lines[edge.source, edge.target]
        yield f'<path class="edge {kind}" d="{_curve(points)}" marker-end="url(#{kind})"/>'
    for label in part.labels:
        yield f'<text class="label {label.kind}" x="{label.x:.1f}" y="{label.y:.1f}">{label.text}</text>'
    for box in part.boxes:
        centre, top = part.layout.boxes[box.node.key]
        yield from _drawn(box, centre - box.width / 2, top)
    yield "</g></g>"


def _drawn(box: Box, left: float, top: float) -> Iterator[str]:
    node = box.node
    size = f'width="{box.width:.1f}" height="{box.height:.1f}" rx="8"'
    kind = ("frame" if box.parts else "box") + (" conditional" if node.conditional else "")
    kind += f" {node.state}" if node.state else ""
    yield f'<g transform="translate({left:.1f} {top:.1f})"><title>{escape(_printable(node.hint, keep=chr(10)))}</title>'
    if node.many and not box.parts:
        yield f'<rect class="box behind" x="4" y="4" {size}/>'
    centre = box.width / 2
    yield (
        f'<rect class="{kind}" {size}/>'
        f'<text class="id" x="{centre:.1f}" y="20" text-anchor="middle">{escape(_cut(node.title))}</text>'
        f'<text class="what" x="{centre:.1f}" y="36" text-anchor="middle">{escape(_cut(node.what))}</text>'
    )
    for part in box.parts:
        yield from _drawn_part(part)
    yield "</g>"


def _labels(section: GraphSection, layout: GraphLayout) -> Iterator[Label]:
    """Place the labels of edges; labels of edges that leave the same box are at different heights.

    Several edges between the same two boxes are one line with a shared label.
    """
    leaving: dict[str, dict[str, list[GraphEdge]]] = {}
    for edge in section.edges:
        if LABELS[edge.kind]:
            leaving.setdefault(edge.source, {}).setdefault(edge.target, []).append(edge)
    for source, by_target in leaving.items():
        for number, (target, parallel) in enumerate(by_target.items(), start=1):
            points = layout.lines[source, target]
            first = len(points) % 2  # an odd number: the first point leads down next to a higher box
            (x0, y0), (x1, y1) = points[first], points[first + 1]
            t = number / (len(by_target) + 1)
            x, y = x0 + (x1 - x0) * (3 - 2 * t) * t * t, y0 + (y1 - y0) * (1.5 * t * (1 - t) + t**3)  # on the curve
            yield Label(", ".join(LABELS[edge.kind] for edge in parallel), _class(parallel[0]), x + 5, y + 3)


def _class(edge: GraphEdge) -> str:
    return "data" if edge.kind == "data" else "failure" if edge.kind == "on_failure" else "jump"


def _style(more: str) -> str:
    """Return the style sheet: rules without variables, which many viewers do not support, dark rules, then `more`."""
    light = _rules("#f6f8fa", "#8c959f", "#1f2328", "#59636e", "#0969da", "#cf222e", "#ffffff")
    dark = _rules("#21262d", "#6e7681", "#e6edf3", "#9198a1", "#58a6ff", "#ff7b72", "#0d1117")
    fonts = 'text { font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif }'
    return f"<style>\n{fonts}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{more}</style>"


def _rules(box: str, line: str, text: str, soft: str, accent: str, bad: str, page: str) -> str:
    return f"""\
.page {{ fill: {page} }}
.box {{ fill: {box}; stroke: {line} }}
.frame {{ fill: {line}; fill-opacity: 0.07; stroke: {line} }}
.conditional {{ stroke: {accent}; stroke-dasharray: 5 3 }}
.section {{ fill: none; stroke: {line}; stroke-dasharray: 2 3 }} .section.handler {{ stroke: {bad} }}
.caption {{ font-size: 11px; font-weight: 600; fill: {soft} }} .caption.handler {{ fill: {bad} }}
.id {{ fill: {text}; font-size: 13px; font-weight: 600 }} .what {{ fill: {soft}; font-size: 11px }}
.edge {{ fill: none; stroke: {line}; stroke-width: 1.3 }}
.edge.jump {{ stroke: {accent}; stroke-dasharray: 4 3 }} .edge.failure {{ stroke: {bad}; stroke-dasharray: 4 3 }}
.label {{ font-size: 10px; stroke: {page}; stroke-width: 3px; paint-order: stroke }}
.label.jump {{ fill: {accent} }} .label.failure {{ fill: {bad} }}
.tip.data {{ fill: {line} }} .tip.jump {{ fill: {accent} }} .tip.failure {{ fill: {bad} }}"""


_STATES: Final = """\
.succeeded { stroke: #2da44e; stroke-width: 2 } .failed { stroke: #cf222e; stroke-width: 3 }
.running { stroke: #0969da; stroke-width: 3 } .waiting, .cancelled { stroke: #bf8700; stroke-width: 2 }
.skipped { opacity: 0.6 }
"""

_MARKERS: Final = (
    "<defs>"
    + "".join(
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path class="tip {kind}" d="M0 0.5 8 4 0 7.5z"/></marker>'
        for kind in ("data", "jump", "failure")
    )
    + "</defs>"
)


def _printable(text: str, keep: str = "") -> str:
    """Drop characters that XML does not allow and pictures cannot show."""
    return "".join(c if c.isprintable() or c in keep else " " for c in text)


def _cut(text: str) -> str:
    return shorten(_printable(text), WIDEST_TEXT)


def _columns(text: str) -> int:
    """Return the width of a text in characters; ideographs count as two."""
    shown = _cut(text)
    return max(len(shown), display_width(shown))


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """Draw a line through the points, vertical at each of them."""
    (x, y), path = points[0], []
    path.append(f"M{x:.1f} {y:.1f}")
    for next_x, next_y in points[1:]:
        middle = (y + next_y) / 2
        path.append(f"C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return "".join(path)
