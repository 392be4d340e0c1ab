"""How large the result of a step may be to be recorded, and where one that is larger is kept for people."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.content import make_private_directory, open_private
from orchestrator.text.json_pieces import json_pieces

if TYPE_CHECKING:
    from pathlib import Path


class ResultSizes(Struct, frozen=True):
    """How many characters of a result are used, as set under `[run]` in `orchestrator.toml`.

    `recorded` are those of JSON that a step may return: what is larger is data for a file, as each reader of the record
    would have to hold it in memory. `told` limits how much of one result an agent's model receives.
    """

    recorded: int = 100_000_000
    told: int = 20_000


USUAL = ResultSizes()


_LONGEST_NAME = 100


def too_large(output: Any, *, step: str, run_id: str, directory: Path, most: int) -> StepError:
    """Write a result without secrets that is too large to a file, and return the error of its step."""
    name = "".join(sign if sign.isalnum() or sign in "._-[]" else "_" for sign in step)[-_LONGEST_NAME:]
    file = directory / ".orchestrator" / "results" / run_id / f"{name}.json"
    try:
        make_private_directory(file.parent)
        with open(os.fspath(file), "w", encoding="utf-8", errors="backslashreplace", opener=open_private) as out:
            out.writelines(json_pieces(output))
        where = f"the full result is in {file}"
    except OSError as error:
        where = f"it could not be saved to {file}: {(error.strerror or str(error)).lower()}"
    return StepError(
        f"the result of `{step}` is longer than the {most:,} characters that a run records; {where}",
        code=codes.RESULT_TOO_LARGE,
        help="return less, write a file and return its path, or raise `max_result` under `[run]` in orchestrator.toml",
        retryable=False,
    )
