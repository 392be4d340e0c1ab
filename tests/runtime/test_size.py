"""Results that are too large to be recorded: the step fails, and all of its result is in a file."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.support import ended, pipeline, states, step

if TYPE_CHECKING:
    import orchestrator as orc


@pytest.fixture
def small(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text("[run]\nmax_result = 10_000\n")


@pytest.mark.usefixtures("small")
def test_a_result_that_is_too_large_fails_its_step_and_is_kept_in_a_file(client: orc.Orchestrator) -> None:
    value = {"rows": ["ä" * 100] * 200}
    source = pipeline(
        step("big", value="{{ big_value }}", on_failure="continue"),
        step("small", "echo", "big", value="{{ big is none }}"),
        inputs={"big_value": {}},
        outputs={"small": "{{ small }}"},
    )
    result = client.compile(source).run(big_value=value)
    assert result.outputs == {"small": True}
    error = result.steps["big"].error
    assert error is not None
    assert error["code"] == "ORC734"
    found = re.search(r"the full result is in (.*\.json)", error["message"])
    assert found is not None
    file = Path(found[1])
    assert json.loads(file.read_text(encoding="utf-8")) == value
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["parallel", "item"])
def test_it_is_no_matter_where_the_step_stands(client: orc.Orchestrator, kind: str) -> None:
    inner = [step("i", value="{{ 'x' * 20000 }}")]
    around = {"parallel": inner} if kind == "parallel" else {"for_each": [1, 2], "steps": inner}
    result = ended(client.compile(pipeline({"id": "s", **around})))
    assert result.state == "failed"
    assert result.error is not None
    assert result.error["code"] == "ORC734"


@pytest.mark.usefixtures("small")
def test_a_result_that_just_fits_is_recorded(client: orc.Orchestrator) -> None:
    result = client.compile(pipeline(step("s", value="{{ 'x' * 9000 }}"))).run()
    assert states(result) == {"s": "succeeded"}
