"""The work that is measured: which steps there are, what each waits for and how long it sleeps, and how many runs."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Step:
    """One step that does nothing, or sleeps for some seconds. It reads the result of the first that it waits for."""

    id: str
    after: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """What every contender runs: `runs` runs of the same steps, `at_once` of them at a time.

    Without `effects` the steps only compute something, for a contender that makes a difference of that.
    """

    name: str
    title: str
    steps: tuple[Step, ...]
    runs: int = 1
    at_once: int = 1
    effects: bool = True

    @property
    def total(self) -> int:
        """The number of steps of all runs."""
        return len(self.steps) * self.runs

    @property
    def critical_path(self) -> float:
        """The seconds that one run sleeps at least, however many steps run at once."""
        ends: dict[str, float] = {}
        for step in self.steps:
            ends[step.id] = max((ends[before] for before in step.after), default=0.0) + step.seconds
        return max(ends.values())

    @property
    def depths(self) -> Mapping[str, int]:
        """How many steps stand, at most, between the beginning and each step."""
        depths: dict[str, int] = {}
        for step in self.steps:
            depths[step.id] = max((depths[before] + 1 for before in step.after), default=0)
        return depths


def chain(length: int) -> Job:
    """Return steps of which each reads the one before."""
    names = [f"s{number}" for number in range(length)]
    steps = (Step(names[0]), *(Step(name, (before,)) for before, name in pairwise(names)))
    return Job("chain", f"chain of {length:,}", steps)


def computed(length: int) -> Job:
    """Return a chain of steps without effects."""
    return Job("computed", f"chain of {length:,} without effects", chain(length).steps, effects=False)


def fan(width: int) -> Job:
    """Return one step, then many that read it, then one that waits for all of them."""
    middle = tuple(Step(f"m{number}", ("first",)) for number in range(width))
    steps = (Step("first"), *middle, Step("last", tuple(step.id for step in middle)))
    return Job("fan", f"1 → {width:,} → 1", steps)


def layers(count: int, width: int) -> Job:
    """Return layers of which every step waits for all steps of the layer before."""
    steps: list[Step] = []
    before: tuple[str, ...] = ()
    for layer in range(count):
        names = tuple(f"l{layer}_{number}" for number in range(width))
        # Its own number first, since a step reads the first: so not all of a layer read the same.
        steps += [Step(name, before[number:] + before[:number]) for number, name in enumerate(names)]
        before = names
    return Job("layers", f"{count} layers of {width}", tuple(steps))


def branches(count: int, length: int) -> Job:
    """Return chains that sleep unevenly, from 10 to 200 ms a step, the same in every run of the benchmark."""
    chance = random.Random(7)
    steps = [
        Step(f"b{branch}_{number}", (f"b{branch}_{number - 1}",) if number else (), chance.uniform(0.01, 0.2))
        for branch in range(count)
        for number in range(length)
    ]
    return Job("branches", f"{count} uneven branches of {length} sleeping steps", tuple(steps))


def runs(count: int, at_once: int) -> Job:
    """Return many runs of a chain of five."""
    return Job("runs", f"{count:,} runs of 5 steps, {at_once} at once", chain(5).steps, count, at_once)


def wide(width: int) -> Job:
    """Return steps that wait for nothing."""
    return Job("wide", f"{width:,} steps wide", tuple(Step(f"w{number}") for number in range(width)))


JOBS: Mapping[str, Callable[[bool], Job]] = {
    "chain": lambda quick: chain(20 if quick else 1_000),
    "computed": lambda quick: computed(20 if quick else 1_000),
    "fan": lambda quick: fan(20 if quick else 1_000),
    "layers": lambda quick: layers(3, 4) if quick else layers(20, 50),
    "branches": lambda quick: branches(3, 2) if quick else branches(10, 10),
    "runs": lambda quick: runs(10, 5) if quick else runs(1_000, 100),
    "wide": lambda quick: wide(50 if quick else 10_000),
}
"""Jobs by name; the argument selects a small size that only tests the benchmark."""
