"""Files of the older dialect run as they are written: values stay data, and steps are read by their own ids."""

from pathlib import Path
from typing import Any

import orchestrator as orc

HERE = Path(__file__).parent / "older_dialect"
NAME = 'it\'s "quoted"; $(touch out.txt) \\n'


def outputs_of(name: str, directory: Path) -> dict[str, Any]:
    store = f"sqlite:///{directory}/runs.db"
    permissions = orc.Permissions(directory, allow_run=True)
    with orc.Orchestrator(store=store, directory=directory, permissions=permissions) as client:
        return dict(client.compile(HERE / name).run().outputs)


def test_values_in_code_and_commands_are_data(tmp_path: Path) -> None:
    assert outputs_of("code-and-commands.yaml", tmp_path) == {
        "code": {"label": f"<{NAME}>", "text": f"3 of '{NAME}' 1", "sum": 12},
        "printed": "done",
        "said": f"{NAME}|a {NAME} b|c {NAME}|",
        "status": 3,
        "sum": "12",
    }
    assert not (tmp_path / "out.txt").exists()


def test_steps_of_groups_and_rounds_are_read_by_their_own_ids(tmp_path: Path) -> None:
    assert outputs_of("groups-and-rounds.yaml", tmp_path) == {
        "report": "# All\n\nhi 1 from b\nADA ADA!;BOB BOB!; BOB\n",
        "words": 10,
        "rounds": 2,
        "totals": [{"k": "a", "total": 7, "n": 3.5}],
    }
