"""The benchmark measures every kind of work, and says what it found in a table and in JSON. How fast is no test."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_benchmark_measures_every_kind_of_work(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--quick", "--contenders", "floor", "orchestrator"]
    done = subprocess.run(
        [*command, "--directory", str(tmp_path), "--output", str(output)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text(encoding="utf-8"))
    assert set(results["jobs"]) == {"chain", "computed", "fan", "layers", "branches", "runs", "wide"}
    for job in results["jobs"].values():
        assert set(job["contenders"]) == {"floor", "orchestrator"}
        assert job["title"] in done.stdout
    assert set(results["alone"]) == {
        "loop",
        "batch",
        "models",
        "control",
        "show",
        "prune",
        "workflows",
        "readers",
        "contended",
    }
    assert all(found["title"] in done.stdout for each in results["alone"].values() for found in each)
    assert results["compile"]
    assert {"orchestrator", "pydantic"} <= set(results["import"])
