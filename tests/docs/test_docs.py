"""The documentation is correct. Each page is one session in an empty directory, executed from top to bottom.

    ```yaml            a pipeline, or a list of steps, compiles without diagnostics; with a title it is a file
    ```toml, ```json   with a title it is a file
    ```python          runs, and prints its `# >` comments; with a title it is also a tools file
    ```console         commands (`$ ...`) run and print the output that is shown; `...` stands for any
                       lines, or the rest of a line

An Ollama runs on the machine; `answers.py` scripts what its model says. A mail server accepts everything: its port is
written 2525. A command must succeed, unless the next one is
`echo $?`. Run ids, times and processes may differ from those shown.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import orchestrator as orc
from orchestrator.models.calls.project_budget import ProjectBudget
from orchestrator.models.catalog.settings import ModelSettings
from orchestrator.models.limits import LimitSettings
from orchestrator.notices.settings import NoticeSettings
from orchestrator.testing import FakeModel
from tests.docs.answers import ANSWERS
from tests.mail import MailServer
from tests.ollama import Ollama

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "orchestrator"
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "reference" not in path.parts)
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
TITLE = re.compile(r'title="([^"]+)"')
VARYING = (
    (re.compile(r"\b1m[0-9a-z]{18}\b"), "RUN"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?"), "TIME"),
    (re.compile(r"(\d+ h )?\d+ m \d+ s\b"), "SECONDS"),
    (re.compile(r"\d+\.\d+(e-\d+)?( s\b|(?<=\d)$)"), "SECONDS"),
    (re.compile(r"duration=[\d.e-]+"), "DURATION"),
    (re.compile(r"process \d+ on \S+"), "PROCESS"),
    (re.compile(r"(?<=\S)  +"), "  "),
)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    place: str
    language: str
    text: str
    file: str | None


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        title = TITLE.search(found[2])
        yield Block(f"{page.relative_to(ROOT)}:{line}", found[1], found[3], title[1] if title else None)


@dataclass(frozen=True)
class Session:
    """A directory in which a page is executed."""

    directory: Path
    scratch: Path
    models: Mapping[str, str]
    mail_port: int

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ORCHESTRATOR_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
        home = str(self.scratch / "home")
        return kept | {
            "PATH": path,
            "NO_COLOR": "1",
            "PYTHONPATH": str(self.directory),
            "ORCHESTRATOR_HOME": home,
            **self.models,
        }

    def process(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )

    def execute(self, block: Block) -> None:
        if block.file:
            path = self.directory / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text.replace("port = 2525", f"port = {self.mail_port}"), encoding="utf-8")
        match block.language:
            case "yaml":
                self.compile(block)
            case "python":
                self.run_python(block)
            case "console":
                self.run_commands(block)
            case "toml" if block.file == "orchestrator.toml":
                orc.Permissions.load(self.directory)
                ModelSettings.load(self.directory)
                LimitSettings.load(self.directory)
                ProjectBudget.load(self.directory)
                NoticeSettings.load(self.directory)

    def compile(self, block: Block) -> None:
        data = yaml.load(block.text, yaml.CSafeLoader)  # the pure loader takes no `number?` between braces
        text = block.text
        if isinstance(data, list) and all("id" in item for item in data):
            text = "steps:\n" + "".join(f"  {line}\n" for line in text.splitlines())
        elif "steps" not in data:
            return
        tools = [str(path) for path in sorted(self.directory.glob("*.py")) if "@orc.tool" in path.read_text()]
        allowed = orc.Permissions.load(self.directory).extended(run=True)  # as a page's commands may be with an option
        with orc.Orchestrator(
            directory=self.directory,
            tools=tools,
            permissions=allowed,
            models=FakeModel(),  # needs no keys
        ) as client:
            found = client.check(text).diagnostics
        assert [f"{each.span.start.line}: {each.message}" for each in found] == [], block.place

    def run_python(self, block: Block) -> None:
        script = self.directory / block.file if block.file else self.scratch / "block.py"
        script.write_text(block.text, encoding="utf-8")
        done = self.process(sys.executable, "-W", "error", str(script))
        assert done.returncode == 0, f"{block.place}\n{done.stdout}"
        shown = "".join(re.findall(r"^ *# > (.*\n)", block.text, re.MULTILINE))
        if shown:
            assert same(shown, done.stdout), f"{block.place}\n{done.stdout}"

    def run_commands(self, block: Block) -> None:
        parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
        assert parts[0] == "", f"{block.place}: output before the first command"
        code = 0
        for number, part in enumerate(parts[1:], start=1):
            command, _, shown = part.partition("\n")
            done = self.process("bash", "-c", f"(exit {code}); {command}")
            code = done.returncode
            meant = number < len(parts) - 1 and parts[number + 1].startswith("echo $?")
            assert code == 0 or meant, f"{block.place}: {command}\n{done.stdout}"
            if shown.strip():
                assert same(shown, done.stdout), f"{block.place}: {command}\n{done.stdout}"


def same(shown: str, printed: str) -> bool:
    """Whether a command printed what is shown, except for what differs from run to run."""
    lines = [".*\n" if line == "..." else re.escape(line) for line in settled(shown).splitlines()]
    pattern = "".join(f"(?:{line})*?" if line == ".*\n" else f"{line}\n" for line in lines)
    return re.fullmatch(pattern.replace(r"\.\.\.", ".*"), settled(printed)) is not None


def settled(text: str) -> str:
    lines = []
    for line in text.rstrip().splitlines():
        for varying, word in VARYING:
            line = varying.sub(word, line.rstrip())
        lines.append(line + "\n")
    return "".join(lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_correct(page: Path, tmp_path: Path) -> None:
    with Ollama(ANSWERS.get(page.stem)) as ollama, MailServer() as mail:
        session = Session(tmp_path / "project", tmp_path / "scratch", ollama.environment, mail.port)
        session.directory.mkdir()
        session.scratch.mkdir()
        for block in blocks(page):
            session.execute(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:\s]+)", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if "reference/diagnostics/" not in target and target != "https":  # made when the site is built
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    for file, heading in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        assert heading in headings((page.parent / file) if file else page), f"{file}#{heading}"


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the site makes them."""
    found = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in found}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_every_module_that_a_page_names_is_there(page: Path) -> None:
    packages = {path.name for path in PACKAGE.iterdir()}
    for name in re.findall(r"`([\w/.-]+)`", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        first, slash, rest = name.partition("/")
        if slash and first in {"src", "docs", "tests", "bench", "requirements"}:
            assert name == "docs/reference/" or (ROOT / name.replace("CODE", "ORC301")).exists(), name
        elif slash and first in packages and (rest.endswith(".py") or "." not in rest):
            assert (PACKAGE / name).exists(), name


def test_every_page_can_be_found_from_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2].partition("\n\n")[0]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    listed = set(re.findall(r"[\w/-]+\.md", menu))
    assert {page for page in pages if not page.startswith("reference/diagnostics/")} <= listed
