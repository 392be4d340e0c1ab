"""Schedules: each instant starts one run, whatever happens to servers, and by the rules for overlaps and delays."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from orchestrator.journal import Owner
from orchestrator.journal.store.store import Store
from orchestrator.journal.store.tables import triggers
from orchestrator.plan.triggers import Schedule
from orchestrator.server.service import Service
from orchestrator.server.triggers.occasions import MOST_AT_ONCE, delay, next_start, occasions
from orchestrator.server.triggers.trigger_loop import TriggerLoop
from tests.runtime.support import Bench
from tests.server.support import Client, ServerProcess, client_of, serving

REPORT = """\
inputs:
  day: {{type: string}}
steps:
  - {{id: text, tool: log, parameters: {{message: "{{{{ day }}}}"}}}}
outputs: {{day: "{{{{ day }}}}"}}
triggers:
  nightly:
    schedule: "{cron}"
    timezone: Europe/Berlin
    {more}
    inputs: {{day: "{{{{ trigger.instant | date('%Y-%m-%d %H:%M') }}}}"}}
"""
GATED = """\
steps:
  - {{id: gate, tool: gate}}
triggers:
  often: {{schedule: "0 0 1 1 *", timezone: Europe/Berlin, overlap: {overlap}, catch_up: 366d}}
"""
HOUR = 3_600.0


@pytest.fixture
def server(project: Path, url: str, bench: Bench) -> Iterator[tuple[Service, str]]:
    """A server that fires nothing by itself: the tests decide when."""
    with serving(project, store=url, tools=bench.tools(), triggers=False) as running:
        yield running


NEW_YEAR = datetime(datetime.now(UTC).year, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
YEARLY = "0 0 1 1 *"


def rewind(service: Service, trigger: str, handled_until: float = NEW_YEAR - 1) -> None:
    """Have a schedule look as if it was handled last at a time, by default just before the new year."""
    TriggerLoop(service).fire_due()
    with service.orchestrator.backend.store.database.write() as connection:
        changed = triggers.update().where(triggers.c.trigger == trigger)
        connection.execute(changed.values(handled_until=handled_until))


def write(directory: Path, *, cron: str = YEARLY, **more: Any) -> None:
    keys = {"catch_up": "366d", **more}
    lines = "\n    ".join(f"{key}: {value}" for key, value in keys.items())
    (directory / "report.yaml").write_text(REPORT.format(cron=cron, more=lines))


def firings(client: Client, trigger: str) -> list[dict[str, Any]]:
    return client.json("GET", f"/v1/triggers/{trigger}")["firings"]


def runs_of(client: Client, trigger: str) -> list[dict[str, Any]]:
    return client.json("GET", "/v1/runs", params={"label": f"trigger:{trigger}", "limit": 500})["runs"]


def test_a_due_instant_starts_a_run_that_shows_its_trigger_and_instant(
    server: tuple[Service, str], client: Client, project: Path
):
    write(project)
    rewind(server[0], "report/nightly")
    TriggerLoop(server[0]).fire_due()
    (firing,) = firings(client, "report/nightly")
    assert (firing["state"], firing["by"]) == ("started", "its schedule")
    (run,) = runs_of(client, "report/nightly")
    assert run["run_id"] == firing["run_id"]
    instant = datetime.fromtimestamp(firing["instant"], UTC)
    assert instant.second == 0
    label = f"instant:{instant.astimezone(ZoneInfo('Europe/Berlin')).isoformat()}"
    assert client.json("GET", "/v1/runs", params={"label": label})["runs"][0]["run_id"] == run["run_id"]
    server[0].orchestrator.get_run(run["run_id"]).wait()
    result = client.json("GET", f"/v1/runs/{run['run_id']}/result")
    assert result["outputs"]["day"] == label.removeprefix("instant:")[:16].replace("T", " ")
    started = client.json("GET", f"/v1/runs/{run['run_id']}/events")["events"][1]
    assert started["data"]["by"] == "trigger report/nightly, by its schedule"


def test_a_new_trigger_does_not_make_up_for_the_time_before_it(
    server: tuple[Service, str], client: Client, project: Path
):
    write(project)
    TriggerLoop(server[0]).fire_due()
    assert firings(client, "report/nightly") == []


def test_a_changed_schedule_counts_from_its_change(server: tuple[Service, str], client: Client, project: Path):
    write(project)
    rewind(server[0], "report/nightly", time.time() - 60 * HOUR)
    write(project, cron="* * * * *", overlap="queue")
    TriggerLoop(server[0]).fire_due()
    TriggerLoop(server[0]).fire_due()
    assert len(firings(client, "report/nightly")) <= 2  # of the last minute, not of sixty hours


def test_a_paused_trigger_starts_nothing_and_does_not_make_up_for_it(
    server: tuple[Service, str], client: Client, project: Path
):
    write(project)
    rewind(server[0], "report/nightly")
    paused = client.json("POST", "/v1/triggers/report/nightly/pause")
    assert paused["paused_by"].startswith("ada from ")
    assert paused["next"] == []
    TriggerLoop(server[0]).fire_due()
    assert firings(client, "report/nightly") == []
    resumed = client.json("POST", "/v1/triggers/report/nightly/resume")
    assert resumed["paused_at"] is None
    assert len(resumed["next"]) == 5
    TriggerLoop(server[0]).fire_due()
    assert firings(client, "report/nightly") == []


def test_a_person_fires_a_trigger_with_other_inputs_even_if_it_is_paused(
    server: tuple[Service, str], client: Client, project: Path
):
    write(project)
    client.json("POST", "/v1/triggers/report/nightly/pause")
    fired = client.json("POST", "/v1/triggers/report/nightly/fire", {"inputs": {"day": "now"}}, status=202)
    TriggerLoop(server[0]).fire_due()
    run = server[0].orchestrator.get_run(fired["run_id"])
    run.wait()
    assert run.result().outputs["day"] == "now"
    (firing,) = firings(client, "report/nightly")
    assert firing["state"] == "started"
    assert firing["by"].startswith("ada from ")
    client.problem("POST", "/v1/triggers/report/nightly/fire", {"inputs": {"dya": "x"}}, status=422, code="ORC602")
    client.problem("POST", "/v1/triggers/report/nigthly/fire", status=404, code="ORC919")


def test_a_firing_whose_inputs_cannot_be_used_has_no_run_and_a_reason(
    server: tuple[Service, str], client: Client, project: Path
):
    write(project)
    text = (
        (project / "report.yaml")
        .read_text()
        .replace("%Y-%m-%d %H:%M", "%Y")
        .replace("string}", "string, min_length: 9}")
    )
    (project / "report.yaml").write_text(text)
    rewind(server[0], "report/nightly")
    TriggerLoop(server[0]).fire_due()
    (firing,) = firings(client, "report/nightly")
    assert firing["state"] == "failed"
    assert "ORC603" in firing["reason"]
    assert runs_of(client, "report/nightly") == []


def test_a_full_server_starts_the_run_when_it_has_room(project: Path, url: str, bench: Bench):
    (project / "gated.yaml").write_text("steps: [{id: gate, tool: gate}]\n")
    write(project)
    with serving(project, store=url, tools=bench.tools(), max_runs=1, triggers=False) as (service, address):
        client = client_of(service, address)
        run = service.orchestrator.get_run(client.start("gated")["run"]["run_id"])
        rewind(service, "report/nightly")
        TriggerLoop(service).fire_due()
        assert [firing["state"] for firing in firings(client, "report/nightly")] == ["due"]
        run.cancel()
        run.wait()
        while firings(client, "report/nightly")[0]["state"] == "due":
            TriggerLoop(service).fire_due()
        assert len(runs_of(client, "report/nightly")) == 1


@pytest.mark.parametrize(
    ("overlap", "states"),
    [("skip", ["skipped", "started"]), ("queue", ["due", "started"]), ("cancel", ["due", "started"])],
)
def test_a_run_that_has_not_ended_is_dealt_with_by_the_overlap_policy(
    server: tuple[Service, str], client: Client, project: Path, overlap: str, states: list[str]
):
    service = server[0]
    (project / "gated.yaml").write_text(GATED.format(overlap=overlap))
    rewind(service, "gated/often")
    TriggerLoop(service).fire_due()
    first = firings(client, "gated/often")[0]["run_id"]
    rewind_once_more(service, "gated/often")
    found = firings(client, "gated/often")
    assert [firing["state"] for firing in found][:2] == states
    old = service.orchestrator.get_run(first)
    if overlap == "skip":
        assert found[0]["reason"] == f"run {first} had not ended"
        return
    if overlap == "queue":
        old.cancel()
    old.wait()
    while firings(client, "gated/often")[0]["state"] == "due":
        TriggerLoop(service).fire_due()
    assert old.status().state == "cancelled"
    second = firings(client, "gated/often")[0]
    assert second["state"] == "started"
    assert service.orchestrator.get_run(second["run_id"]).status().state == "running"


def test_a_run_that_waits_for_its_turn_has_not_ended_either(server: tuple[Service, str], client: Client, project: Path):
    service = server[0]
    (project / "gated.yaml").write_text(f"concurrency: {{key: one}}\n{GATED.format(overlap='skip')}")
    client.start("gated")  # it has the only turn
    rewind(service, "gated/often")
    TriggerLoop(service).fire_due()
    first = firings(client, "gated/often")[0]["run_id"]
    for _ in service.orchestrator.get_run(first).events():
        if service.orchestrator.get_run(first).status().state == "queued":
            break
    rewind_once_more(service, "gated/often")
    found = firings(client, "gated/often")[0]
    assert (found["state"], found["reason"]) == ("skipped", f"run {first} had not ended")


def rewind_once_more(service: Service, trigger: str) -> None:
    """Have the instant of a schedule be due again, as another one."""
    with service.orchestrator.backend.store.database.write() as connection:
        connection.execute(sa.text("UPDATE firings SET cause = 'earlier ' || cause"))
    rewind(service, trigger)
    TriggerLoop(service).fire_due()


def test_what_no_server_fired_in_time_is_made_up_for_within_the_window():
    now = datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC).timestamp()
    noon = now - 30
    hourly = Schedule("0 * * * *", overlap="skip", catch_up=3 * HOUR)
    assert occasions("t", hourly, noon, now).handled_until is None
    assert occasions("t", hourly, noon - HOUR, now).due == (noon,)
    late = occasions("t", hourly, noon - 24 * HOUR, now)
    assert late.due == (noon,)
    assert late.missed == noon - HOUR
    assert late.handled_until == noon
    queue = Schedule("0 * * * *", overlap="queue", catch_up=3 * HOUR)
    late = occasions("t", queue, noon - 24 * HOUR, now)
    assert late.due == (noon - 2 * HOUR, noon - HOUR, noon)
    assert late.missed == noon - 23 * HOUR
    minutes = occasions("t", Schedule("* * * * *", overlap="queue", catch_up=24 * HOUR), noon - 24 * HOUR, now)
    assert len(minutes.due) == MOST_AT_ONCE
    assert minutes.due[-1] == noon
    never = occasions("t", Schedule("0 3 * * *", catch_up=60), noon - 24 * HOUR, now)
    assert never.due == ()
    assert never.missed is not None
    again = occasions("t", Schedule("0 3 * * *", catch_up=60), never.handled_until or 0, now)
    assert (again.due, again.missed) == ((), None)


def test_jitter_delays_each_instant_by_another_part_that_all_servers_agree_on():
    schedule = Schedule("0 * * * *", jitter=600)
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()
    delays = [delay("t", schedule, noon + number * HOUR) for number in range(100)]
    assert all(0 <= each < 600 for each in delays)
    assert len(set(delays)) == 100
    assert delay("t", schedule, noon) == delays[0]
    assert occasions("t", schedule, noon - 1, noon + delays[0] - 1).due == ()
    assert occasions("t", schedule, noon - 1, noon + delays[0]).due == (noon,)
    assert next_start("t", schedule, noon - 1) == noon + delays[0]


SHARED = """\
inputs: {at: {type: string}}
steps:
  - {id: note, tool: note, parameters: {line: "{{ at }}"}}
triggers:
  minutes: {schedule: "* * * * *", overlap: queue, catch_up: 2h, inputs: {at: "{{ trigger.instant }}"}}
"""
NOTE = '''
import orchestrator as orc

@orc.tool
async def note(line: str, context: orc.ToolContext) -> str:
    """Add a line to a file."""
    with (context.directory / "notes.txt").open("a") as out:
        out.write(f"{line}\\n")
    return line
'''


def test_two_servers_fire_one_schedule_once_although_the_one_that_claimed_is_killed(tmp_path: Path, url: str):
    """A server that holds the trigger's lease is killed again and again; what it recorded is started, once."""
    (tmp_path / "lib.py").write_text(NOTE)
    (tmp_path / "orchestrator.toml").write_text('tools = ["lib.py"]\n')
    (tmp_path / "shared.yaml").write_text(SHARED)
    with Store.open(url) as store:
        store.triggers.register({"shared/minutes": "* * * * * UTC"})
        servers = [ServerProcess(tmp_path, "--store", url), ServerProcess(tmp_path, "--store", url)]
        for number in range(1, 4):
            held = next(server for server in servers if server.process.pid == holder_after(store, number * 25 * 60))
            held.kill()
            servers = [*(server for server in servers if server is not held), ServerProcess(tmp_path, "--store", url)]
        while True:  # New instants go on coming: what is judged is what was recorded at one moment, and has ended.
            found = store.triggers.last("shared/minutes", 500)
            started = {firing.run_id for firing in found if firing.state == "started"}
            through = all(firing.state != "due" for firing in found) and started <= set(ended(store))
            if through and len(found) >= 74:
                break
        for server in servers:
            server.stop()
        assert {firing.state for firing in found} == {"started"}
        instants = [firing.instant for firing in found]
        assert len(set(instants)) == len(instants)
        noted = {datetime.fromisoformat(line).timestamp() for line in (tmp_path / "notes.txt").read_text().split()}
        assert {instant for instant in noted if instant <= max(instants)} == set(instants)
        firings_of_runs = {firing.run_id for firing in store.triggers.last("shared/minutes", 500)}
        assert {status.run_id for status in store.list(limit=500)} <= firings_of_runs


def holder_after(store: Store, seconds: float) -> int:
    """Return the process that fires the schedule, when it is as if no server had run for so many seconds."""
    while True:
        with store.database.write() as connection:
            connection.execute(triggers.update().values(handled_until=time.time() - seconds))
        until = time.monotonic() + 1
        while time.monotonic() < until:
            with store.database.read() as connection:
                owner = connection.execute(sa.select(triggers.c.owner)).scalar()
            if owner is not None and not Owner.from_dict(json.loads(owner)).is_dead():
                return int(json.loads(owner)["pid"])


def ended(store: Store) -> list[str]:
    return [status.run_id for status in store.list(limit=500) if status.state == "succeeded"]


def test_a_server_without_triggers_fires_nothing(tmp_path: Path):
    write(tmp_path)
    with serving(tmp_path, triggers=False) as (service, address):
        client = client_of(service, address)
        assert client.json("GET", "/v1/triggers")["triggers"][0]["id"] == "report/nightly"
        rewind(service, "report/nightly")
        service.wake_triggers()
        assert firings(client, "report/nightly") == []


def test_the_store_keeps_a_trigger_for_one_process_at_a_time(url: str):
    with Store.open(url) as store:
        store.triggers.register({"a/b": "x"})
        mine = store.triggers.acquire("a/b", Owner.current())
        assert mine is not None
        assert store.triggers.acquire("a/b", Owner.current("another")) is None
        assert store.triggers.acquire("a/unknown", Owner.current()) is None
        store.triggers.release(mine)
        again = store.triggers.acquire("a/b", Owner.current("another"), ttl=-1)
        third = store.triggers.acquire("a/b", Owner.current())
        assert again is not None
        assert third is not None
        assert not store.triggers.record(again, 1.0, [])  # its lease has been taken over
        store.triggers.release(again)
        assert store.triggers.acquire("a/b", Owner.current()) is None
        assert store.triggers.record(third, 1.0, [])
