"""One level of a run's step tree: the steps directly inside a step, or some items of a loop.

A run of 100,000 items is read level by level and page by page, so that no reader ever needs all of its steps at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.history.step_outline import outline_of
from orchestrator.history.step_results import LOOPS, StepResult
from orchestrator.paths import item_of, parent_of
from orchestrator.plan.lookup import definition_at, steps_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.history.step_results import StepResults
    from orchestrator.journal.events import StepState

Data = Mapping[str, Any]

MOST_NOTABLE: Final = 50
"""How many failed or unfinished items are listed apart from the page of a loop."""

MOST_CHIPS: Final = 12
"""How many failed items of a loop its own row names."""

STATES: Final = ("failed", "waiting", "running", "cancelled", "pending", "skipped", "succeeded")
"""The states of steps, the most important one first."""

_BLOCKS: Final = {"finally": "finally", "error_handlers": "handler", "on_error": "handler", "undo": "handler"}
_NOTHING: Final[Data] = {}


class StepRow(Struct, frozen=True):
    """One step, item or block, without its output. `head` is its record, or what is known of one that has none.

    `kind` is that of its definition; `what` describes its work in a few words. `depends_on` are the paths that it
    depends on. `inside` is how many steps or items are directly inside it, None if that is not known yet, `counts`
    their number by state. `failed_items` are the paths of the first failed items of a loop.
    """

    head: StepResult
    id: str
    kind: str
    name: str = ""
    what: str = ""
    condition: str = ""
    depends_on: tuple[str, ...] = ()
    inside: int | None = 0
    counts: Mapping[str, int] = {}
    failed_items: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Its path."""
        return self.head.path


class StepPage(Struct, frozen=True):
    """The rows directly `within` a step or a run (""), in the file's order or by their index.

    Of a loop, they are its items from number `first` on, of `total` that have started; `notable` are the first items
    that failed or have not ended, whatever their number.
    """

    within: str
    rows: tuple[StepRow, ...]
    notable: tuple[StepRow, ...] = ()
    first: int = 0
    total: int = 0
    is_loop: bool = False


def step_page(steps: StepResults, plan: Data, within: str = "", *, first: int = 0, limit: int = 100) -> StepPage:
    """Return one level of the tree: of a loop at most `limit` items from number `first` on.

    Raises:
        KeyError: The run has no such step, and its plan neither.
    """
    definition = definition_at(plan, within, numbered=True) if within else _NOTHING
    if definition is not None and definition.get("kind") in LOOPS:
        return _items(steps, plan, within, first, limit)
    shown = _Level(outline_of(steps, within), plan)
    if within and definition is None and not shown.knows(within):
        raise KeyError(within)
    rows = tuple(shown.block(within))
    return StepPage(within, rows, total=len(rows))


def step_row(steps: StepResults, plan: Data, path: str) -> StepRow:
    """Return the row of one step, item or block.

    Raises:
        KeyError: The run has no such step, and its plan neither.
    """
    shown = _Level(outline_of(steps, path), plan)
    if definition_at(plan, path, numbered=True) is None and not shown.knows(path):
        raise KeyError(path)
    return shown.row(path)


def _items(steps: StepResults, plan: Data, loop: str, first: int, limit: int) -> StepPage:
    wanted = [f"{loop}[{index}]" for index in range(first, first + limit)]
    shown = _Level(outline_of(steps, loop, *wanted), plan)
    rows = tuple(shown.row(path) for path in wanted if shown.knows(path))
    notable = tuple(shown.row(path) for path in shown.notable_items(loop)) if first == 0 else ()
    return StepPage(loop, rows, notable, first, shown.steps.item_count(loop), is_loop=True)


class _Level:
    """Builds rows from the records of a run and its plan as data."""

    def __init__(self, steps: StepResults, plan: Data) -> None:
        self.steps = steps
        self._plan = plan
        self._inside: dict[str, dict[str, None]] = {}
        for path in steps:
            inner = path
            while inner:
                outer = _around(inner)
                known = self._inside.setdefault(outer, {})
                if inner in known:
                    break
                known[inner] = None
                inner = outer

    def knows(self, path: str) -> bool:
        """Whether something is recorded at a path or below it."""
        return path in self.steps or path in self._inside

    def block(self, within: str) -> Iterator[StepRow]:
        """Yield the rows of a block: the steps of its definition, then what else is recorded in it."""
        paths = dict.fromkeys(self._planned(within))
        paths |= self._inside.get(within, {})
        for path in paths:
            yield self.row(path)

    def notable_items(self, loop: str) -> list[str]:
        """Return the first items of a loop that failed or have not ended, the failed ones first."""
        paths = [f"{loop}[{index}]" for index in self.steps.items_of(loop)]
        found = [path for path in paths if self.state(path) not in ("succeeded", "skipped")]
        return sorted(found, key=lambda path: STATES.index(self.state(path)))[:MOST_NOTABLE]

    def row(self, path: str) -> StepRow:
        """Return the row at a path."""
        head = self.steps.head(path) if path in self.steps else StepResult(path=path, state=self.state(path))
        definition = definition_at(self._plan, path, numbered=True) or _NOTHING
        item = item_of(path)
        kind = _BLOCKS.get(_last(path)) or str(definition.get("kind") or head.kind or "tool")
        planned = definition if item is None else _NOTHING
        around = parent_of(path)
        prefix = f"{around}." if around else ""
        row = StepRow(
            head,
            id=_id(path),
            kind=kind,
            name=str(planned.get("name") or ""),
            what=describe(definition) if kind != "item" else "",
            condition=str(planned.get("condition") or ""),
            depends_on=tuple(f"{prefix}{other}" for other in planned.get("dependencies", ())),
        )
        return self._with_insides(row)

    def state(self, path: str) -> StepState:
        """Return the state of a step, or what the steps inside an item or block without a record add up to."""
        state = self.steps.state_of(path)
        if state is not None and (state != "pending" or path not in self._inside):
            return state
        inner = {self.state(other) for other in self._inside.get(path, ()) if other != f"{path}.undo"}
        if not inner:
            return "pending"
        if "running" in inner or ("pending" in inner and len(inner) > 1):
            return "running"
        return min(inner, key=STATES.index)

    def _with_insides(self, row: StepRow) -> StepRow:
        path, head = row.path, row.head
        known = self._inside.get(path, {})
        if row.kind in LOOPS:
            failed = [other for other in known if self.steps.state_of(other) == "failed"]
            counted = head.items or {}
            bad, count = counted.get("failed", 0), counted.get("count", 0)
            active = max(0, count - counted.get("succeeded", 0) - bad) if head.state in ("running", "waiting") else 0
            counts: dict[str, int] = {"failed": bad, "succeeded": counted.get("succeeded", 0), "running": active}
            counts = {state: number for state, number in counts.items() if number}
            return replace(
                row,
                inside=self.steps.item_count(path) if head.state != "pending" else None,
                counts=counts,
                failed_items=tuple(failed[:MOST_CHIPS]),
            )
        inner = dict.fromkeys(self._planned(path)) | known
        if not inner:
            return row
        counts = {}
        for other in inner:
            state = self.state(other)
            counts[state] = counts.get(state, 0) + 1
        if path not in self.steps:  # an item or a block: its steps have the cost
            spent = [self.steps.head(other).spending for other in inner if other in self.steps]
            head = replace(head, spending=sum(spent, head.spending), **_times(self.steps, known))
        return replace(row, head=head, inside=len(inner), counts=counts)

    def _planned(self, within: str) -> list[str]:
        """Return the paths of the steps that the plan has in a block; of a switch that has chosen, of that case."""
        definition = definition_at(self._plan, within, numbered=True) if within else _NOTHING
        if definition is not None and definition.get("kind") in LOOPS:
            return []
        case = self.steps.head(within).case if within in self.steps else None
        prefix = f"{within}." if within else ""
        return [f"{prefix}{step['id']}" for step in steps_within(self._plan, within, case=case)]


def describe(definition: Data) -> str:
    """Describe the work of a step in a few words, from its definition in a plan as data."""
    match definition.get("kind"):
        case "tool":
            tool, action = str(definition.get("tool") or ""), str(definition.get("action") or "")
            return tool if action in ("", tool) else f"{tool} {action}"
        case "for_each":
            return f"for each {definition.get('as') or 'item'}"
        case "while" | "until" as kind:
            return f"{kind} {definition.get(kind)}"
        case "pipeline":
            return f"pipeline {definition.get('pipeline')}"
        case "detached":
            return f"starts a run of {definition.get('pipeline')}"
        case "ask":
            return "asks a person"
        case "approve":
            return "approval"
        case kind:
            return str(kind or "")


def _times(steps: StepResults, known: Iterable[str]) -> dict[str, float]:
    starts = [found for path in known if path in steps and (found := steps.head(path).started_at) is not None]
    return {"started_at": min(starts)} if starts else {}


def _around(path: str) -> str:
    """Return what contains a path: a step, an item or a block; the lists of handlers are none of them."""
    around = parent_of(path)
    return parent_of(around) if _last(around) in ("on_error", "error_handlers") and not around.endswith("]") else around


def _last(path: str) -> str:
    """Return the id at the end of a path, without a number."""
    end = path.rpartition(".")[2]
    return end.partition("[")[0]


def _id(path: str) -> str:
    item = item_of(path)
    return f"[{item[1]}]" if item is not None and _last(path) not in _BLOCKS else path.rpartition(".")[2]


def paths_of(rows: Sequence[StepRow]) -> list[str]:
    """Return the paths of rows."""
    return [row.path for row in rows]
