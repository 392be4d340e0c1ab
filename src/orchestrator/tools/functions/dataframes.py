"""Data frames, series and arrays of pandas, Polars, NumPy and Arrow, detected by name, so that none is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from orchestrator.expressions.types.value_types import ANY, BOOLEAN, INTEGER, NUMBER, OBJECT, STRING, Type, array_of

NOT_A_FRAME: Final = object()
"""What `rows_of` returns for any other value."""

_LIBRARIES: Final = frozenset({"pandas", "polars", "numpy", "pyarrow"})
_FRAMES: Final = frozenset({"pandas.DataFrame", "polars.DataFrame"})
_COLUMNS: Final = frozenset({"pandas.Series", "polars.Series", "pandas.Index", "numpy.ndarray"})
_NUMPY_KINDS: Final = (("integer", INTEGER), ("floating", NUMBER), ("bool", BOOLEAN), ("bool_", BOOLEAN))

Convert = Callable[[Any], Any]


def library_class(kind: type) -> str:
    """Return the library and the name of a class, such as `pandas.DataFrame`; empty for other libraries."""
    library = kind.__module__.partition(".")[0]
    return f"{library}.{kind.__name__}" if library in _LIBRARIES else ""


def rows_of(value: Any) -> Any:
    """Return a frame as a list of rows, a series or an array as a list, a scalar as a Python value.

    Missing values (null, NA, NaT, and NaN of pandas) become None. Returns `NOT_A_FRAME` for anything else.
    """
    match library_class(type(value)):
        case "":
            return NOT_A_FRAME
        case "pandas.DataFrame":
            return value.astype(object).where(value.notna(), None).to_dict(orient="records")
        case "pandas.Series":
            return value.astype(object).where(value.notna(), None).tolist()
        case "pandas.NAType" | "pandas.NaTType":
            return None
        case "polars.DataFrame":
            return value.to_dicts()
        case "polars.LazyFrame":
            return value.collect().to_dicts()
        case "polars.Series":
            return value.to_list()
        case "pyarrow.Table" | "pyarrow.RecordBatch" | "pyarrow.ChunkedArray":
            return value.to_pylist()
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return _plain_array(value)
    return value.tolist() if hasattr(value, "tolist") else NOT_A_FRAME


def _plain_array(value: Any) -> Any:
    """Return a NumPy array or scalar, or an index, as Python values; times have microseconds."""
    kind = getattr(value.dtype, "kind", "")
    if kind in ("M", "m") and library_class(type(value)).startswith("numpy."):
        value = value.astype("datetime64[us]" if kind == "M" else "timedelta64[us]")
    return value.tolist()


def dataframe_type(annotation: type) -> tuple[Type, Convert] | None:
    """Return the JSON type of an annotation of one of the libraries, and the conversion of a value."""
    name = library_class(annotation)
    if not name:
        return None
    make: Any = annotation
    if name in _FRAMES:
        return array_of(OBJECT), make
    if name == "numpy.ndarray":
        return array_of(ANY), lambda value: sys.modules["numpy"].array(value)
    if name in _COLUMNS:
        return array_of(ANY), make
    if name == "pandas.Timestamp":
        return STRING, make
    if name.startswith("numpy."):
        bases = {base.__name__ for base in annotation.__mro__}
        kind = next((kind for word, kind in _NUMPY_KINDS if word in bases), None)
        return None if kind is None else (kind, make)
    return None
