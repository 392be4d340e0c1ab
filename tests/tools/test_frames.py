"""Data frames and arrays as inputs, results and annotations: by their names, so that no library is loaded for it."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.errors import InputError
from orchestrator.tools.functions.annotations import describe_annotation
from orchestrator.tools.functions.results import NotJson, json_result

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"name": "Ada", "age": 36}, {"name": "Bob", "age": None}]


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed")


def frames() -> dict[str, Any]:
    return {
        "polars": lambda: library("polars").DataFrame(ROWS),
        "polars, lazy": lambda: library("polars").DataFrame(ROWS).lazy(),
        "pandas": lambda: library("pandas").DataFrame(ROWS).astype({"name": "string", "age": "Int64"}),
        "pandas, of objects": lambda: library("pandas").DataFrame(ROWS, dtype=object),
    }


@pytest.mark.parametrize("kind", frames())
def test_a_frame_is_the_list_of_its_rows_as_an_input_and_as_a_result(tmp_path: Path, kind: str) -> None:
    frame = frames()[kind]()

    @orc.tool
    def made() -> list[dict[str, Any]]:
        """Give the frame."""
        return frame  # type: ignore[no-any-return]

    with orc.Orchestrator(directory=tmp_path, tools=[made]) as client:
        pipeline = client.compile(
            {
                "inputs": {"people": {"type": "array"}},
                "steps": [{"id": "made", "tool": "made"}],
                "outputs": {"given": "{{ people }}", "made": "{{ made }}"},
            }
        )
        outputs = pipeline.run(people=frame).outputs
    assert outputs == {"given": ROWS, "made": ROWS}


def values() -> dict[str, tuple[Any, Any]]:
    return {
        "polars series": (lambda: library("polars").Series([1, None]), [1, None]),
        "pandas series": (lambda: library("pandas").Series([1.5, float("nan")]), [1.5, None]),
        "pandas times": (
            lambda: library("pandas").Series([datetime(2026, 3, 14, 9), None]),
            ["2026-03-14T09:00:00", None],
        ),
        "pandas NA": (lambda: [library("pandas").NA, library("pandas").NaT], [None, None]),
        "pandas index": (lambda: library("pandas").Index([1, 2]), [1, 2]),
        "numpy array": (lambda: library("numpy").array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        "numpy scalars": (
            lambda: {
                "i": library("numpy").int64(3),
                "f": library("numpy").float32(0.5),
                "b": library("numpy").bool_(1),
            },
            {"i": 3, "f": 0.5, "b": True},
        ),
        "numpy times": (
            lambda: library("numpy").array(["2026-03-14T09:00", "NaT"], dtype="datetime64[ns]"),
            ["2026-03-14T09:00:00", None],
        ),
        "within others": (lambda: {"rows": (library("polars").DataFrame({"a": [1]}),)}, {"rows": [[{"a": 1}]]}),
    }


@pytest.mark.parametrize("kind", values())
def test_series_arrays_and_scalars_are_plain_data(kind: str) -> None:
    made, expected = values()[kind]
    assert json_result(made()) == expected


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: {"x": [1, float("nan")]}, "`data`['x'][1] is NaN"),
        (lambda: library("polars").DataFrame({"x": [1.0, float("inf")]}), "`data`[1]['x'] is infinity"),
        (lambda: library("numpy").array([1.0, float("nan")]), "`data`[1] is NaN"),
        (lambda: {"a": {"b": object()}}, "`data`['a']['b'] is a Python `object`"),
        (lambda: {"raw": b"x"}, "`data`['raw'] is binary data"),
        (lambda: library("numpy").array([1 + 2j]), "`data`[0] is a Python `complex`"),
    ],
)
def test_what_is_no_json_is_named_with_its_path_and_the_way_out_in_a_few_lines(
    tmp_path: Path, made: Any, said: str
) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        pipeline = client.compile(
            {"inputs": {"data": {}}, "steps": [{"id": "a", "action": "sleep", "parameters": {"seconds": 0}}]}
        )
        with pytest.raises(InputError) as caught:
            pipeline.run(data=made())
    assert said in caught.value.message
    assert len(str(caught.value).splitlines()) <= 5
    with pytest.raises(NotJson, match="the result"):
        json_result(made())


@pytest.mark.parametrize(
    ("name", "value", "kind", "check"),
    [
        ("polars.DataFrame", ROWS, "array", lambda made: made.shape == (2, 2)),
        ("polars.Series", [1, 2], "array", lambda made: made.sum() == 3),
        ("pandas.DataFrame", ROWS, "array", lambda made: list(made.columns) == ["name", "age"]),
        ("pandas.Series", [1, 2], "array", lambda made: made.sum() == 3),
        ("pandas.Timestamp", "2026-03-14", "string", lambda made: made.year == 2026),
        ("numpy.ndarray", [[1, 2]], "array", lambda made: made.shape == (1, 2)),
        ("numpy.int64", 3, "integer", lambda made: made == 3),
        ("numpy.float64", 0.5, "number", lambda made: made == 0.5),
    ],
)
def test_an_annotation_of_a_library_is_a_type_and_a_conversion(name: str, value: Any, kind: str, check: Any) -> None:
    module, _, attribute = name.partition(".")
    annotation = getattr(library(module), attribute)
    described = describe_annotation(annotation, "in")
    assert described.type.kind == kind
    assert described.convert is not None
    made = described.convert(value)
    assert type(made) is annotation
    assert check(made)
    assert describe_annotation(annotation, "out").type.kind == kind
    optional = describe_annotation(annotation | None, "in")
    assert optional.convert is not None
    assert optional.convert(None) is None


def test_a_tool_takes_and_gives_frames_by_its_annotations(tmp_path: Path) -> None:
    pl = library("polars")

    def older(people: pl.DataFrame, than: int = 0) -> pl.DataFrame:  # type: ignore[name-defined]
        """Keep who is older."""
        return people.filter(pl.col("age") > than)

    older.__annotations__ = {"people": pl.DataFrame, "than": int, "return": pl.DataFrame}
    with orc.Orchestrator(directory=tmp_path, tools=[orc.tool(older)]) as client:
        steps = [{"id": "a", "tool": "older", "parameters": {"people": ROWS, "than": 20}}]
        assert client.compile({"steps": steps, "outputs": {"o": "{{ a[0].name }}"}}).run().outputs == {"o": "Ada"}
        steps = [{"id": "a", "tool": "older", "parameters": {"people": "{{ [1, [2]] }}"}}]
        assert not client.check({"steps": steps}).ok


def test_no_library_is_loaded_to_know_frames() -> None:
    code = (
        "import sys\nimport orchestrator as orc\nfrom orchestrator.tools.functions.results import json_result\n"
        "@orc.tool\ndef f(x: list) -> dict:\n    '''F.'''\n    return {}\n"
        "orc.Orchestrator(tools=[f])\ntry:\n    json_result(object())\nexcept ValueError:\n    pass\n"
        "assert not {'pandas', 'polars', 'numpy', 'pyarrow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
