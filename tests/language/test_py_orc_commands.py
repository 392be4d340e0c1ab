"""Values in the commands of the older dialect are quoted where that makes them data, and nowhere else."""

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.language import read_document

TEXT = st.text(st.sampled_from("ab '\"\\$`;|&#\n()*~"), max_size=12)
PARTS = st.lists(
    st.sampled_from(["{{ x }}", " ", "'", '"', "a", "\\", "#", "\n", ";", " printf %s ", "|cat "]), max_size=12
)


def rewritten(command: str) -> str:
    steps = [{"id": "one", "tool": "terminal", "action": "run_command", "parameters": {"command": command}}]
    document = read_document({"inputs": {"x": "1"}, "variables": {"y": "-l"}, "steps": steps})
    return str((document.spec.steps[0].parameters or {})["command"])


@pytest.mark.parametrize(
    "command",
    [
        *("sh -c 'echo {{ x }}'", "eval {{ x }}", 'ssh host "ls {{ x }}"', "{{ x }}", "echo `ls {{ x }}`"),
        *(
            "cat << end\n{{ x }}\nend",
            "echo $(ls {{ x }})",
            "find . -exec {{ x }} +",
            "echo '{{ x }}",
            "A=1 ls {{ x }}",
        ),
        *(
            "echo ok; sh {{ x }}",
            "echo ok | xargs -I% sh -c {{ x }}",
            "echo # {{ x }}",
            "ls {{ y }}",
            "echo {{ x | quote }}",
        ),
    ],
)
def test_other_commands_are_left_as_they_are(command: str) -> None:
    assert rewritten(command) == command


@given(PARTS, TEXT)
def test_a_quoted_value_is_never_read_by_the_shell(parts: list[str], value: str) -> None:
    """A rewritten command does with any value what it does with a harmless one."""
    command = "printf '<%s>' " + "".join(parts)
    made = rewritten(command)
    if made == command or "{{ x }}" in made:
        return
    mark = "M4RK"

    def printed(text: str) -> tuple[bytes, int]:
        script = made.replace("{{ x | quote }}", shlex.quote(text))
        done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=False, cwd="/", timeout=60)
        return done.stdout, done.returncode

    expected, code = printed(mark)
    if code == 0:
        assert printed(value) == (expected.replace(mark.encode(), value.encode()), 0)
