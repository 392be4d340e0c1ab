"""Texts that are made to break a reader: each gets a diagnostic, in bounded memory, by a process that ends."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MEBIBYTE = 1024 * 1024
GROWTH = 200 * MEBIBYTE
HANG = 600.0  # seconds; only to end a process that hangs

CHILD = """
import json, resource, sys
from pathlib import Path
import orchestrator as orc
from orchestrator.diagnostics import render_text, to_github, diagnostics_json, to_sarif

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

with orc.Orchestrator() as client:
    client.check(Path("plain.yaml"))
    before = peak()
    report = client.check(Path("evil.yaml"))
    codes = [diagnostic.code for diagnostic in report.diagnostics]
    for render in (render_text, to_github, diagnostics_json, to_sarif):
        json.dumps(render(report.diagnostics)).encode()
print(json.dumps({"codes": codes, "ok": report.ok, "growth": peak() - before}))
"""

PLAIN = "steps:\n  - {id: say, tool: log, parameters: {message: hello}}\n"


def bomb(levels: int, width: int, item: Callable[[str], str]) -> str:
    lines = ["metadata:", "  a0: &a0 {x: y}"]
    for level in range(1, levels):
        lines.append(f"  a{level}: &a{level} {item(', '.join([f'*a{level - 1}'] * width))}")
    return "\n".join(lines) + "\n" + PLAIN


EVIL: dict[str, bytes | str] = {
    "alias-bomb": bomb(12, 10, lambda aliases: f"[{aliases}]"),
    "merge-bomb": bomb(12, 10, lambda aliases: f"{{<<: [{aliases}]}}"),
    "anchor-inside-itself": "metadata: &a\n  b: *a\n" + PLAIN,
    "deep-flow-list": "metadata: {a: " + "[" * 5000 + "]" * 5000 + "}\n" + PLAIN,
    "deep-flow-list-never-closed": "metadata: " + "[" * 5000,
    "deep-flow-mapping": "metadata: " + "{a: " * 5000 + "1" + "}" * 5000 + "\n" + PLAIN,
    "deep-block-mapping": "".join(" " * level + "a:\n" for level in range(5000)),
    "deep-block-list": "metadata:\n  " + "- " * 5000 + "a\n" + PLAIN,
    "deep-expression": 'outputs: {x: "{{ ' + "(" * 5000 + "1" + ")" * 5000 + ' }}"}\n' + PLAIN,
    "pattern-that-doubles": f'inputs: {{a: {{pattern: "(a+)+$", default: "{"a" * 60}b"}}}}\n' + PLAIN,
    "long-chain-of-filters": 'outputs: {x: "{{ 1' + " | string" * 20_000 + ' }}"}\n' + PLAIN,
    "long-line": "metadata: {a: " + "x" * 10_000_000 + "}\n" + PLAIN,
    "long-line-with-a-mistake": "steps: [" + "{id: a}, " * 400_000 + "\n",
    "many-keys": "".join(f"key{number}: 1\n" for number in range(200_000)) + PLAIN,
    "many-steps-with-one-id": "steps:\n" + "  - {id: a, tool: log, parameters: {message: hello}}\n" * 20_000,
    "many-mistakes-of-syntax": "a: b: c\n" * 50_000,
    "many-tabs": "steps:\n" + "\t- id: a\n" * 50_000,
    "many-quotes": "a: '" * 50_000,
    "many-documents": "---\n" * 200_000,
    "null-character": PLAIN + "name: a\0b\n",
    "only-null-characters": b"\0" * 100_000,
    "byte-order-mark-inside": PLAIN + "name: a\ufeffb\n",
    "lone-surrogate-escape": 'name: "a\\ud800b"\nstep: 1\n' + PLAIN,
    "lone-surrogate-bytes": b"name: \xed\xa0\x80\n",
    "utf-16": PLAIN.encode("utf-16"),
    "binary": bytes(range(256)) * 400,
    "huge-number": f"metadata: {{a: {'9' * 100_000}}}\nstep: 1\n" + PLAIN,
    "huge-exponent": 'outputs: {x: "{{ 9 ** 9 ** 9 ** 9 }}"}\nstep: 1\n' + PLAIN,
    "repeated-text": "outputs: {x: \"{{ 'a' * 10 ** 12 }}\"}\nstep: 1\n" + PLAIN,
}

FINE = {
    "regular-expression-in-a-filter": "outputs: {x: \"{{ '" + "a" * 40 + "b' | regex_search('(a+)+$') }}\"}\n" + PLAIN,
    "byte-order-mark": "\ufeff" + PLAIN,
    "carriage-returns": PLAIN.replace("\n", "\r\n"),
    "many-anchors": "metadata:\n" + "".join(f"  k{n}: &a{n} 1\n" for n in range(20_000)) + PLAIN,
    "comment-of-a-megabyte": "# " + "x" * 1_000_000 + "\n" + PLAIN,
}


def checked(directory: Path, content: bytes | str) -> Any:
    (directory / "plain.yaml").write_text(PLAIN, encoding="utf-8")
    (directory / "evil.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    process = subprocess.run(
        [sys.executable, "-c", CHILD],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout)


@pytest.mark.parametrize("content", EVIL.values(), ids=EVIL)
def test_an_evil_text_is_diagnosed_in_bounded_memory(tmp_path: Path, content: bytes | str) -> None:
    outcome = checked(tmp_path, content)
    assert outcome["codes"]
    assert outcome["growth"] < GROWTH


@pytest.mark.parametrize("content", FINE.values(), ids=FINE)
def test_an_odd_text_that_is_right_has_no_diagnostics(tmp_path: Path, content: str) -> None:
    assert checked(tmp_path, content)["codes"] == []
