"""What `import orchestrator` gives, and what it costs."""

import email
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import orchestrator

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

MODELS = (
    "pydantic_ai",
    "openai",
    "anthropic",
    "google.genai",
    "groq",
    "mistralai",
    "boto3",
    "huggingface_hub",
    "httpx2",
)
HEAVY = (*MODELS, "sqlalchemy", "rich", "typer", "pydantic", "polars", "yaml", "anyio", "asyncio")


def test_the_import_loads_nothing_heavy() -> None:
    code = f"import orchestrator, sys, json; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []


def test_compiling_loads_no_database_toolkit() -> None:
    program = (
        "import sys, orchestrator as orc\n"
        "orc.compile('steps: [{id: a, value: 1}]')\n"
        "assert 'sqlalchemy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("command", ["--help", "check hello.yaml", "run hello.yaml"])
def test_no_library_of_models_is_loaded_where_no_model_is_asked(command: str, tmp_path: Path) -> None:
    pipeline = (
        "id: hello\nsteps:\n  - {id: say, tool: report, action: generate, parameters: {title: Hi, content: there}}\n"
    )
    (tmp_path / "hello.yaml").write_text(pipeline, encoding="utf-8")
    code = (
        "import sys, json; from orchestrator.cli import main; from contextlib import suppress\n"
        f"sys.argv[1:] = {command.split()!r}\n"
        "with suppress(SystemExit): main()\n"
        f"print(json.dumps([m for m in {MODELS!r} if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(found.stdout.splitlines()[-1]) == [], found.stderr


def test_every_public_name_is_there_and_no_other() -> None:
    assert orchestrator.__all__ == sorted(orchestrator.__all__)
    for name in orchestrator.__all__:
        assert getattr(orchestrator, name) is not None
    assert set(orchestrator.__all__) <= set(dir(orchestrator))


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    assert not hasattr(orchestrator, "Advanced")


def test_the_version_is_that_of_the_package() -> None:
    project = PYPROJECT
    assert project["project"]["version"] == orchestrator.__version__


def test_the_wheel_describes_the_project(tmp_path: Path) -> None:
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(tmp_path / built.stdout.split()[-1]) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(wheel.read(name))
    repository = PYPROJECT["project"]["urls"]["Repository"]
    assert metadata["Author"]
    assert all(url.split(", ")[1].startswith(repository) for url in metadata.get_all("Project-URL", []))
    readme = str(metadata.get_payload(decode=True), "utf-8")
    links = re.findall(r"\]\(([^)]+)\)", readme)
    assert f"{repository}/blob/main/docs/guide/install.md" in links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert f"repo_url: {repository}\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


LOCKED = {"base": ["build"], "dev": ["dev"], "docs": ["docs"], "bench": ["bench"]}


@pytest.mark.parametrize("lock", LOCKED)
def test_every_dependency_is_locked_at_a_version_that_the_project_allows(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    pinned = {
        canonicalize_name(name): Version(version) for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)
    }
    groups = [entry for group in LOCKED[lock] for entry in PYPROJECT["dependency-groups"][group]]
    for wanted in map(Requirement, [*PYPROJECT["project"]["dependencies"], *(e for e in groups if isinstance(e, str))]):
        assert pinned[canonicalize_name(wanted.name)] in wanted.specifier, f"{wanted}: renew with `make lock`"
