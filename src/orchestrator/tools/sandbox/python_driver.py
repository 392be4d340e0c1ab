"""Runs in the process of the python tool, without Orchestrator: executes the user's code and reports its result.

Standard input is a JSON object with `code`, `inputs` and the path `report`, where the outcome is written as JSON.
"""

import json
import sys
import traceback
from pathlib import Path

FILE_NAME = "<code>"


def run_code() -> None:
    """Execute the code in standard input."""
    task = json.load(sys.stdin)
    sys.argv = [FILE_NAME]
    report = {}
    names = {"__name__": "__main__", "inputs": task["inputs"]}
    try:
        exec(compile(task["code"], FILE_NAME, "exec"), names)  # noqa: S102 - the purpose of this program
        report = outcome(names.get("result"))
    except SystemExit as error:
        if error.code not in (None, 0):
            report = {"error": {**describe_exception(error, ""), "message": str(error.code)}}
        else:
            report = outcome(names.get("result"))
    except BaseException as error:
        report = {"error": describe_exception(error, task["code"])}
    sys.stdout.flush()
    Path(task["report"]).write_text(json.dumps(report), encoding="utf-8")


def outcome(result: object) -> dict[str, object]:
    """Return the result, or the error if it is not JSON data."""
    try:
        json.dumps(result, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return {"not_json": f"{error}"}
    return {"result": result}


def describe_exception(error: BaseException, code: str) -> dict[str, object]:
    """Describe an exception by the names of its classes and the line of the user's code that raised it."""
    line = line_of(error)
    lines = code.splitlines()
    text = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    try:
        message = (error.msg if isinstance(error, SyntaxError) else str(error)) or ""
    except Exception:
        message = "its message cannot be read"
    names = [kind.__name__ for kind in type(error).__mro__[:-1]]
    return {"names": names, "message": message, "line": line, "text": text}


def line_of(error: BaseException) -> int:
    """Return the last line of the user's code in the traceback; 0 if there is none."""
    if isinstance(error, SyntaxError) and error.filename == FILE_NAME:
        return error.lineno or 0
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE_NAME]
    return (frames[-1].lineno or 0) if frames else 0


if __name__ == "__main__":
    run_code()
