"""Graphs in the shapes of four scientific workflows, and the offline schedules that a run of them is compared with.

The shapes follow what is published of Montage (mosaics of the sky), Cycles (agroecosystems), Epigenomics and
Seismology: which kinds of tasks there are, and what each waits for. Durations are lognormal, from a seed; those of the
kinds differ as much as in the publications. Everything is this project's own: no traces are used.
"""

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """One step, the steps that it waits for, and how long it sleeps, in seconds."""

    id: str
    after: tuple[str, ...]
    seconds: float


Graph = Sequence[Task]
"""Tasks, each after those that it waits for."""


class _Shape:
    """Collects tasks: their kind's typical duration is multiplied by a lognormal factor."""

    def __init__(self, chance: random.Random) -> None:
        self.tasks: list[Task] = []
        self._chance = chance

    def add(self, name: str, typical: float, after: Sequence[str] = (), *, spread: float = 0.5) -> str:
        self.tasks.append(Task(name, tuple(after), typical * self._chance.lognormvariate(0, spread)))
        return name


def montage(chance: random.Random, size: int = 30) -> Graph:
    """Project images, fit each overlap of two, model the background, correct each image, add all up."""
    shape = _Shape(chance)
    images = [shape.add(f"project_{number}", 1.5) for number in range(size)]
    overlaps = []
    for number in range(size):
        overlaps += [
            shape.add(f"diff_{number}_{other}", 0.5, (images[number], images[other]))
            for other in sorted({number + 1, number + 2, number + 6} & set(range(size)))
        ]
    fit = shape.add("concat_fit", 2, overlaps)
    model = shape.add("background_model", 4, (fit,))
    corrected = [shape.add(f"background_{number}", 0.5, (model, image)) for number, image in enumerate(images)]
    table = shape.add("image_table", 1, corrected)
    added = shape.add("add", 4, (table, *corrected))
    shape.add("jpeg", 1, (shape.add("shrink", 2, (added,)),))
    return shape.tasks


def cycles(chance: random.Random, size: int = 24) -> Graph:
    """Simulate crops at places, with the usual and with more fertilizer, then summarize by crop and plot."""
    shape = _Shape(chance)
    crops: dict[int, list[str]] = {}
    parsed = []
    for place in range(size):
        baseline = shape.add(f"baseline_{place}", 2)
        usual = shape.add(f"cycles_{place}", 2, (baseline,))
        increased = shape.add(f"increased_baseline_{place}", 2, (baseline,))
        more = shape.add(f"increased_cycles_{place}", 2, (increased,))
        parsed.append(shape.add(f"parse_{place}", 0.3, (usual,)))
        crops.setdefault(place % 4, []).append(shape.add(f"parse_increased_{place}", 0.3, (usual, more)))
    summaries = [shape.add(f"summary_{crop}", 0.6, found) for crop, found in crops.items()]
    summaries.append(shape.add("summary", 0.6, parsed))
    shape.add("plots", 2, summaries)
    return shape.tasks


def epigenomics(chance: random.Random, size: int = 7) -> Graph:
    """Split lanes of unequal length, filter, convert and map each part, then merge by lane and as a whole."""
    shape = _Shape(chance)
    merged = []
    for lane in range(size):
        split = shape.add(f"split_{lane}", 1)
        mapped = []
        for part in range(2 + 2 * lane % 7):
            name = f"{lane}_{part}"
            filtered = shape.add(f"filter_{name}", 0.6, (split,))
            sanger = shape.add(f"sanger_{name}", 0.3, (filtered,))
            packed = shape.add(f"pack_{name}", 0.3, (sanger,))
            mapped.append(shape.add(f"map_{name}", 4, (packed,)))
        merged.append(shape.add(f"merge_{lane}", 1, mapped))
    index = shape.add("index_maps", 1.5, (shape.add("merge", 1.5, merged),))
    shape.add("pileup", 2, (index,))
    return shape.tasks


def seismology(chance: random.Random, size: int = 90) -> Graph:
    """Deconvolve many pairs of signals, and sift all of them at the end."""
    shape = _Shape(chance)
    pairs = [shape.add(f"deconvolve_{number}", 1, spread=1.0) for number in range(size)]
    shape.add("sift", 1, pairs)
    return shape.tasks


SHAPES: Mapping[str, Callable[[random.Random], Graph]] = {
    "montage": montage,
    "cycles": cycles,
    "epigenomics": epigenomics,
    "seismology": seismology,
}


def graph(name: str, *, mean: float, seed: int = 7) -> Graph:
    """Return the graph of a shape with tasks of `mean` seconds on average."""
    tasks = SHAPES[name](random.Random(seed))
    scale = mean * len(tasks) / sum(task.seconds for task in tasks)
    return [Task(task.id, task.after, task.seconds * scale) for task in tasks]


def varied(tasks: Graph, *, seed: int, spread: float = 0.1) -> Graph:
    """Return the graph with durations that differ a little, as they do from run to run."""
    chance = random.Random(seed)
    return [Task(task.id, task.after, task.seconds * chance.lognormvariate(0, spread)) for task in tasks]


def successors(tasks: Graph) -> Mapping[str, list[str]]:
    """Return the tasks that wait for each."""
    found: dict[str, list[str]] = {task.id: [] for task in tasks}
    for task in tasks:
        for before in task.after:
            found[before].append(task.id)
    return found


def remaining(tasks: Graph, seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the longest path from the beginning of each task to the end, by these durations."""
    follow = successors(tasks)
    paths: dict[str, float] = {}
    for task in reversed(tasks):
        paths[task.id] = seconds[task.id] + max((paths[name] for name in follow[task.id]), default=0.0)
    return paths


def lower_bound(tasks: Graph, places: int) -> float:
    """Return the makespan that no schedule beats: the critical path, or the work shared by all places."""
    seconds = {task.id: task.seconds for task in tasks}
    return max(max(remaining(tasks, seconds).values()), sum(seconds.values()) / places)


def scheduled(tasks: Graph, places: int, priority: Mapping[str, float] | None = None) -> float:
    """Return the makespan of list scheduling without any overhead: the first by `priority`, or in order of arrival."""
    seconds = {task.id: task.seconds for task in tasks}
    waits_for = {task.id: len(task.after) for task in tasks}
    follow = successors(tasks)
    arrivals = 0
    ready: list[tuple[float, int, str]] = []
    running: list[tuple[float, int, str]] = []
    now = 0.0

    def arrive(name: str) -> None:
        nonlocal arrivals
        arrivals += 1
        heapq.heappush(ready, (-priority[name] if priority is not None else 0.0, arrivals, name))

    for task in tasks:
        if not task.after:
            arrive(task.id)
    while ready or running:
        while ready and len(running) < places:
            _, number, name = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[name], number, name))
        now, _, name = heapq.heappop(running)
        for successor in follow[name]:
            waits_for[successor] -= 1
            if waits_for[successor] == 0:
                arrive(successor)
    return now


def critical_path_schedule(tasks: Graph, places: int) -> float:
    """Return the makespan of an ideal list scheduler that prefers the longest remaining path, knowing all durations."""
    return scheduled(tasks, places, remaining(tasks, {task.id: task.seconds for task in tasks}))
