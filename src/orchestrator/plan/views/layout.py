"""A layered layout of boxes and arrows: that of Sugiyama, Tagawa and Toda (1981).

A box's layer is the length of the longest path to it, boxes within a layer are ordered by the mean position of their
neighbours (the barycentre), in sweeps down and up, and an edge over several layers keeps a separate lane between the
boxes that it passes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

GAP_X: Final = 28.0
GAP_Y: Final = 44.0
LANE: Final = 10.0
SWEEPS: Final = 8
WIDEST_ROW: Final = 1_400.0
LARGEST_REDUCED: Final = 20_000
MOST_CROSSINGS: Final = 40_000


class GraphLayout(Struct, frozen=True):
    """Where everything is, from the corner (0, 0): the top centre of each box, and each edge's points downwards."""

    boxes: Mapping[str, tuple[float, float]]
    lines: Mapping[tuple[str, str], Sequence[tuple[float, float]]]
    width: float
    height: float


GraphNode = str | tuple[str, str, int]
"""A box, or the place where an edge (source, target) crosses a layer."""


def lay_out(sizes: Mapping[str, tuple[float, float]], pairs: Sequence[tuple[str, str]]) -> GraphLayout:
    """Place boxes of the given widths and heights so that every pair points downwards.

    `pairs` must have no cycle. The work is linear in boxes and crossed layers per sweep, with a fixed number of sweeps.
    """
    layer_of = _wrapped(layers(list(sizes), pairs), sizes, pairs)
    rows, chains = _with_crossings(list(sizes), pairs, layer_of)
    neighbours = _neighbours(chains)
    _order(rows, *neighbours)
    width_of = {node: sizes[node][0] if isinstance(node, str) else LANE for row in rows for node in row}
    x_of = _place(rows, width_of, *neighbours)
    left = min((x_of[node] - width_of[node] / 2 for row in rows for node in row), default=0.0)
    x_of = {node: x - left for node, x in x_of.items()}
    right = max((x_of[node] + width_of[node] / 2 for row in rows for node in row), default=0.0)
    tops, bottoms = _bands(rows, sizes)
    lines = {}
    for (source, target), chain in chains.items():
        first, last = layer_of[source], layer_of[target]
        points = [(x_of[source], tops[first] + sizes[source][1])]
        if points[0][1] < bottoms[first]:  # next to a higher box, straight down
            points.append((x_of[source], bottoms[first]))
        for layer, node in enumerate(chain[1:-1], start=first + 1):
            points += [(x_of[node], tops[layer]), (x_of[node], bottoms[layer])]
        lines[source, target] = [*points, (x_of[target], tops[last])]
    boxes = {box: (x_of[box], tops[layer_of[box]]) for box in sizes}
    return GraphLayout(boxes, lines, right, bottoms[-1] if bottoms else 0.0)


def _bands(rows: list[list[GraphNode]], sizes: Mapping[str, tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return where each row begins and ends: it is as high as its highest box."""
    tops: list[float] = []
    bottoms: list[float] = []
    for row in rows:
        tops.append(bottoms[-1] + GAP_Y if bottoms else 0.0)
        bottoms.append(tops[-1] + max(sizes[node][1] for node in row if isinstance(node, str)))
    return tops, bottoms


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


def without_implied(boxes: Sequence[str], pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
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


def _wrapped(
    layer_of: Mapping[str, int], sizes: Mapping[str, tuple[float, float]], pairs: Sequence[tuple[str, str]]
) -> dict[str, int]:
    """Move boxes without edges, which may stand anywhere, further down where the first row would be too wide."""
    joined = {box for pair in pairs for box in pair}
    found = dict(layer_of)
    used: dict[int, float] = defaultdict(float)
    for box in joined:
        used[found[box]] += sizes[box][0] + GAP_X
    layer = 0
    for box, (width, _) in sizes.items():
        if box not in joined:
            while used[layer] and used[layer] + width > WIDEST_ROW:
                layer += 1
            found[box] = layer
            used[layer] += width + GAP_X
    return found


def _with_crossings(
    boxes: Sequence[str], pairs: Sequence[tuple[str, str]], layer_of: Mapping[str, int]
) -> tuple[list[list[GraphNode]], dict[tuple[str, str], list[GraphNode]]]:
    """Return the rows of nodes, and for each edge the nodes that it runs through, one in each layer."""
    rows: list[list[GraphNode]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for box in boxes:
        rows[layer_of[box]].append(box)
    chains: dict[tuple[str, str], list[GraphNode]] = {}
    spans = sum(layer_of[target] - layer_of[source] - 1 for source, target in pairs)
    # Beyond the budget, which no readable picture reaches, long edges run straight.
    longest = len(rows) if spans <= MOST_CROSSINGS else max(1, MOST_CROSSINGS // max(1, len(pairs)))
    for source, target in dict.fromkeys(pairs):
        between = range(layer_of[source] + 1, layer_of[target])
        crossings: list[GraphNode] = [(source, target, layer) for layer in between if len(between) < longest]
        for node, layer in zip(crossings, between, strict=False):
            rows[layer].append(node)
        chains[source, target] = [source, *crossings, target]
    return rows, chains


def _neighbours(
    chains: Mapping[tuple[str, str], list[GraphNode]],
) -> tuple[dict[GraphNode, list[GraphNode]], dict[GraphNode, list[GraphNode]]]:
    above: dict[GraphNode, list[GraphNode]] = defaultdict(list)
    below: dict[GraphNode, list[GraphNode]] = defaultdict(list)
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    return above, below


def _order(
    rows: list[list[GraphNode]], above: Mapping[GraphNode, list[GraphNode]], below: Mapping[GraphNode, list[GraphNode]]
) -> None:
    """Order each row by the mean position of its neighbours in the row before, sweeping down and up."""
    position = {node: float(number) for row in rows for number, node in enumerate(row)}

    def sort_row(row: list[GraphNode], neighbours: Mapping[GraphNode, list[GraphNode]]) -> None:
        def centre(node: GraphNode) -> float:
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
    rows: list[list[GraphNode]],
    width_of: Mapping[GraphNode, float],
    above: Mapping[GraphNode, list[GraphNode]],
    below: Mapping[GraphNode, list[GraphNode]],
) -> dict[GraphNode, float]:
    """Give every node an x: near its neighbours, with the row's order and gaps kept."""
    x_of: dict[GraphNode, float] = {}
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
