"""The documentation says what is so: its Python runs, its pipelines compile, its links lead somewhere."""

import contextlib
import io
import re
from pathlib import Path

import pytest

import orchestrator as orc

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "reference" not in path.parts)
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[object]:
    found = []
    for page in PAGES:
        for number, (kind, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), start=1):
            if kind == language:
                found.append(pytest.param(text, id=f"{page.stem}-{number}"))
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_every_python_block_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(code, "docs", "exec"), {"__name__": "docs"})


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_whole_pipeline_compiles(text: str, tmp_path: Path) -> None:
    if not re.search(r"^steps:", text, re.MULTILINE):
        pytest.skip("a part of a pipeline, not a whole one")
    with orc.Orchestrator(directory=tmp_path) as client:
        assert [found.message for found in client.check(text).diagnostics if found.severity == "error"] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:\s]+)", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if not target.startswith("reference/diagnostics/"):  # made when the site is built
            assert (page.parent / target).exists(), target
