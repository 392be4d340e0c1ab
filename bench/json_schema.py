"""Measures three ways into JSON Schema with the official test suite: `json.validate`, `check.schema`, and answers.

The suite, draft 2020-12 without its optional part, comes from the source distribution of the package `jsonschema`,
which `pip` downloads into a temporary directory; none of it is kept. Run it with `make suites`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestrator as orc
from orchestrator.testing import FakeModel, ModelReply

if TYPE_CHECKING:
    from collections.abc import Iterator


def download(directory: Path) -> Path:
    """Return the folder of the suite."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "jsonschema"]
    subprocess.run([*command, "--dest", directory, "jsonschema>=4.23,<5"], check=True)
    with tarfile.open(next(directory.glob("jsonschema-*.tar.gz"))) as archive:
        archive.extractall(directory, filter="data")
    return next(directory.glob("jsonschema-*/json"))


def cases(folder: Path) -> Iterator[tuple[str, Any, Any, bool]]:
    """Yield the name, the schema and the value of each case, and whether it is valid.

    Left out are those that refer to other documents, which are never fetched.
    """
    remote = {path.name for path in (folder / "remotes").rglob("*.json")}
    for path in sorted((folder / "tests" / "draft2020-12").glob("*.json")):
        for group in json.loads(path.read_text(encoding="utf-8")):
            refers = re.findall(r'"\$(?:ref|schema)": "([^"#]*)', json.dumps(group["schema"]))
            if any(each.rpartition("/")[2] in remote for each in refers) and path.name not in OWN_DOCUMENTS:
                continue
            for case in group["tests"]:
                yield (
                    f"{path.name}: {group['description']}: {case['description']}",
                    group["schema"],
                    case["data"],
                    case["valid"],
                )


OWN_DOCUMENTS = ("unevaluatedItems.json", "unevaluatedProperties.json")
"""Files whose schemas hold the documents that they refer to."""


class Doors:
    """The three ways, in one orchestrator. The model answers with the value."""

    def __init__(self, directory: Path) -> None:
        self.value: Any = None
        model = FakeModel(lambda asked: ModelReply(json.dumps(self.value)))
        self.client = orc.Orchestrator(store=f"sqlite:///{directory}/runs.db", directory=directory, models=model)

    def valid(self, schema: Any, value: Any) -> dict[str, bool]:
        """Return the ways that accept a value."""
        self.value = value
        data = {"data": "{{ value }}"}
        return {
            "json.validate": self._succeeds(
                {"action": "json.validate", "parameters": {**data, "schema": "{{ schema }}"}},
                value=value,
                schema=schema,
            ),
            "check.schema": self._succeeds(
                {"action": "json.query", "parameters": {**data, "path": "$"}, "check": {"schema": schema}}, value=value
            ),
            "answers": self._succeeds({"action": "generate", "parameters": {"prompt": "Answer.", "schema": schema}}),
        }

    def _succeeds(self, step: dict[str, Any], **inputs: Any) -> bool:
        declared = {name: {"required": False} for name in inputs}
        try:
            pipeline = self.client.compile({"inputs": declared, "steps": [{"id": "s", **step}]})
        except orc.CompilationError:
            return False
        return pipeline.start(**inputs).wait().state == "succeeded"


def main() -> None:
    """Measure, and list what differs."""
    found: Counter[str] = Counter()
    total = 0
    with tempfile.TemporaryDirectory() as place:
        doors = Doors(Path(place))
        for name, schema, value, valid in cases(download(Path(place))):
            total += 1
            for door, holds in doors.valid(schema, value).items():
                found[door] += holds == valid
                if holds != valid:
                    print(f"{door}: {name}")
        doors.client.close()
    for door, count in found.items():
        print(f"{door:15} {count:,} of {total:,}")


if __name__ == "__main__":
    main()
