"""Python values as the JSON that is sent to a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.errors import InputError
from orchestrator.runtime.values.inputs import plain

if TYPE_CHECKING:
    from collections.abc import Mapping


def json_value(value: Any, what: str) -> Any:
    """Return the JSON data that a value stands for; `what` names it in errors, which never contain it.

    Raises:
        InputError: It stands for none.
    """
    found = plain(value)
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise InputError(
            f"{what} is not JSON data", help="use texts, numbers, booleans, null, lists and objects"
        ) from None
    return found


def json_inputs(inputs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the inputs of a run as JSON data."""
    return {str(name): json_value(value, f"the input `{name}`") for name, value in (inputs or {}).items()}
