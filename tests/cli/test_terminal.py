"""What a person sees on a terminal: the live table, colour, and Ctrl-C."""

import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

import pyte
import pytest

from tests.cli.conftest import Project

PATIENCE = 60.0
"""Seconds after which a test that waits for a text gives up."""

ESCAPES = re.compile(r"\033(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9])")


class Terminal:
    """A process whose stderr (and stdout, if asked) is a terminal of 30 lines and 100 columns, or of another size."""

    def __init__(
        self,
        project: Project,
        *words: str,
        stdout: bool = False,
        size: tuple[int, int] = (30, 100),
        **environment: str,
    ) -> None:
        self.master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.process = subprocess.Popen(
            project.argv(*words),
            cwd=project.directory,
            env=project.environment(**environment),
            stdin=slave,
            stdout=slave if stdout else subprocess.PIPE,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: ioctl(2, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.raw = ""

    def read_until(self, text: str | None) -> str:
        """Read until the text (without escapes) has been shown, or to the end."""
        deadline = time.monotonic() + PATIENCE
        while text is None or text not in ESCAPES.sub("", self.raw):
            left = deadline - time.monotonic()
            shown = left > 0 and select.select([self.master], [], [], left)[0]
            assert shown, f"{text!r} is not shown: {self.raw[-2000:]!r}"
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                data = b""
            if not data:
                assert text is None, self.raw
                break
            self.raw += data.decode(errors="replace")
        return ESCAPES.sub("", self.raw)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def screen(self) -> list[str]:
        """What is on the screen now."""
        rows, columns = struct.unpack("HHHH", ioctl(self.master, termios.TIOCGWINSZ, bytes(8)))[:2]
        screen = pyte.Screen(columns, rows)
        pyte.Stream(screen).feed(self.raw)
        return [line.rstrip() for line in screen.display]

    def interrupt(self) -> None:
        os.write(self.master, b"\x03")


@contextmanager
def terminal(
    project: Project, *words: str, stdout: bool = False, size: tuple[int, int] = (30, 100), **environment: str
) -> Iterator[Terminal]:
    shown = Terminal(project, *words, stdout=stdout, size=size, **environment)
    try:
        yield shown
    finally:
        if shown.process.poll() is None:
            os.killpg(shown.process.pid, signal.SIGKILL)
        shown.process.communicate()
        os.close(shown.master)


def test_a_live_table_shows_steps_progress_and_messages_and_leaves_stdout_to_data(project: Project) -> None:
    with terminal(project, "run", "hang.yaml") as shown:
        text = shown.read_until("40% page 4 of 10")
        assert "1 of 2 steps" in text
        assert "\033[?25l" in shown.raw  # the cursor is hidden while the table moves
        assert "\033[32m" in shown.raw
        shown.interrupt()
        text = shown.read_until(None)
        out, _ = shown.process.communicate(timeout=30)
    assert "press Ctrl-C again to stop immediately" in text
    assert "cancelled by Ctrl-C" in text
    assert "orchestrator resume" in text
    assert shown.raw.rindex("\033[?25h") > shown.raw.rindex("\033[?25l")
    assert shown.process.returncode == 130
    assert out == b""


def test_a_second_ctrl_c_stops_at_once_and_the_run_can_be_resumed(project: Project) -> None:
    stubborn = (
        "import asyncio\nimport orchestrator as orc\n"
        "@orc.tool\n"
        "async def stubborn(context: orc.ToolContext) -> str:\n"
        "    'Refuse to be cancelled.'\n"
        "    while True:\n"
        "        try:\n"
        "            context.progress(0.5, 'at work')\n"
        "            await asyncio.Event().wait()\n"
        "        except asyncio.CancelledError:\n"
        "            context.log('not yet')\n"
    )
    (project.directory / "tools.py").write_text(stubborn)
    (project.directory / "stubborn.yaml").write_text("steps:\n  - id: only\n    tool: stubborn\n")
    with terminal(project, "run", "stubborn.yaml") as shown:
        shown.read_until("50% at work")
        shown.interrupt()
        shown.read_until("press Ctrl-C again")
        shown.interrupt()
        shown.read_until(None)
        assert shown.process.wait(timeout=30) == 130
    assert project("status", "last", "--json").json["state"] == "interrupted"


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_and_no_color_is_respected(project: Project, variable: str, coloured: bool) -> None:
    with terminal(project, "check", "wrong.yaml", stdout=True, NO_COLOR=variable) as shown:
        text = shown.read_until(None)
        assert shown.process.wait(timeout=30) == 1
    assert "error[ORC301]" in text
    assert ("\033[" in shown.raw) is coloured


def test_the_table_of_a_large_run_shows_active_steps_and_counts(project: Project) -> None:
    steps = "".join(f"  - {{id: s{n}, tool: echo, parameters: {{value: x}}}}\n" for n in range(60))
    wide = (
        f"steps:\n{steps}  - id: forever\n    tool: hang\n    dependencies: [{', '.join(f's{n}' for n in range(60))}]\n"
    )
    (project.directory / "wide.yaml").write_text(wide)
    with terminal(project, "run", "wide.yaml") as shown:
        shown.read_until("40% page 4 of 10")
        last_frame = ESCAPES.sub("", shown.raw.split("60 of 61 steps")[-1])
        assert "s59" not in last_frame
        assert "forever" in last_frame
        shown.interrupt()
        shown.read_until(None)


def test_the_items_that_run_stand_below_their_loop_and_a_question_below_all(project: Project) -> None:
    (project.directory / "loop.yaml").write_text(
        """
        steps:
          - id: pages
            for_each: {range: 50}
            max_parallel: 2
            steps: [{id: read, tool: hang}]
          - {id: agree, approve: "Go on?"}
        """
    )
    run_id = project.detach("loop.yaml")
    with terminal(project, "status", run_id, "--watch") as shown:
        for words in ("0 of 50", "[0].read", "[1].read", "40% page 4 of 10", "asks: Go on?"):
            shown.read_until(words)
        text = shown.read_until(f"? agree: orchestrator answer {run_id} agree yes")
        assert "[2].read" not in text
    assert project("cancel", run_id).code == 0


def test_while_a_question_is_asked_the_screen_shows_it_and_nothing_out_of_date(project: Project) -> None:
    steps = "".join(f"  - {{id: s{n}, tool: echo, parameters: {{value: x}}}}\n" for n in range(20))
    (project.directory / "asks.yaml").write_text(
        f"steps:\n{steps}  - {{id: slow, tool: hang}}\n"
        "  - {id: agree, dependencies: [s19], approve: 'Send all of it?'}\n"
        "  - {id: after, dependencies: [agree], tool: hang}\n"
    )
    with terminal(project, "run", "asks.yaml", size=(14, 60)) as shown:
        shown.read_until("(yes or no)")
        shown.read_until("> ")
        assert [line for line in shown.screen() if line] == ["? agree: Send all of it?", "  (yes or no)", ">"]
        shown.type("yes\n")
        shown.read_until("2 running")
        shown.read_until("after")
        table = [line for line in shown.screen() if "  40% " in line or "running" in line]
        assert table
        assert not any("orchestrator answer" in line for line in shown.screen())
        shown.interrupt()
        shown.read_until(None)


def test_several_questions_are_asked_one_after_another_with_a_way_back_and_a_review(project: Project) -> None:
    (project.directory / "order.yaml").write_text(
        """
        steps:
          - id: order
            ask:
              prompt: An order
              questions:
                count: {prompt: How many?, type: integer, minimum: 1}
                speed: {prompt: How fast?, choices: [slow, fast], default: slow}
                name: For whom?
        outputs: {order: "{{ order.count }} for {{ order.name }}, {{ order.speed }}"}
        """
    )
    with terminal(project, "run", "order.yaml", stdout=True) as shown:

        def told(*texts: str) -> None:
            for text in texts:
                shown.read_until(text)
            shown.raw = ""

        told("? order: An order", "1/3 How many?", "> ")
        shown.type("none\n")
        told("it must be an integer", "> ")
        shown.type("2\n")
        told("2/3 How fast?", "one of slow, fast, or back; just Enter for slow", "> ")
        shown.type("back\n")
        told("1/3 How many?", "just Enter for 2", "> ")
        shown.type("3\n")
        told("2/3 How fast?", "> ")
        shown.type("\n")
        told("3/3 For whom?", "> ")
        shown.type("Ada\n")
        told("1. count: 3", "2. speed: slow", "3. name: Ada", "yes to send these answers", "> ")
        shown.type("2\n")
        told("2/3 How fast?", "> ")
        shown.type("fast\n")
        told("2. speed: fast", "yes to send these answers", "> ")
        shown.type("yes\n")
        told("order: 3 for Ada, fast")
        assert shown.process.wait(timeout=30) == 0


def test_tools_cannot_steer_the_terminal(project: Project) -> None:
    evil = "import orchestrator as orc\n@orc.tool\ndef evil() -> str:\n    'x'\n    raise ValueError('\\033[2Jgone')\n"
    (project.directory / "tools.py").write_text(evil)
    (project.directory / "evil.yaml").write_text("steps:\n  - id: only\n    tool: evil\n")
    with terminal(project, "run", "evil.yaml") as shown:
        text = shown.read_until(None)
    assert "gone" in text
    assert "\033[2J" not in shown.raw


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_the_caller_closed_stops_nothing(project: Project, closed: str) -> None:
    command = shlex.join(project.argv("run", "greet.yaml", "--json"))
    done = subprocess.run(
        ["sh", "-c", f"{command} {closed}"], cwd=project.directory, env=project.environment(), capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert project("runs", "--json").json[0]["state"] == "succeeded"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "greet.yaml"], ["tools", "--json"]])
def test_output_that_cannot_be_written_is_said(project: Project, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            project.argv(*words), cwd=project.directory, env=project.environment(), stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert b"the output cannot be written: no space left on device" in done.stderr
    assert b"ORC999" not in done.stderr
