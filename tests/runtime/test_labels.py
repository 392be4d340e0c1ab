"""Labels that a pipeline gives to its runs, in addition to those given at the start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc

SPEC: dict[str, Any] = {
    "id": "invoice",
    "inputs": {
        "customer": {"type": "string"},
        "urgent": {"type": "boolean", "default": False},
        "key": {"type": "string", "secret": True, "default_from_env": "A_KEY", "required": False},
    },
    "variables": {"account": "{{ customer | upper }}", "seal": "sealed with {{ key }}"},
    "labels": ["billing", "account:{{ account }}", "{{ 'urgent' if urgent else null }}"],
    "steps": [
        {"id": "first", "action": "text.template", "parameters": {"template": "Dear {{ customer }}"}},
        {"id": "second", "action": "text.template", "parameters": {"template": "{{ first }}, {{ seal }}"}},
    ],
    "outputs": {"letter": "{{ second }}"},
}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(store=f"sqlite:///{tmp_path}/runs.db", directory=tmp_path) as client:
        yield client


def labels_of(client: orc.Orchestrator, run_id: str) -> list[str]:
    return client.backend.store.labels([run_id]).get(run_id, [])


def test_the_labels_of_the_file_are_added_to_those_given_at_the_start(client: orc.Orchestrator) -> None:
    pipeline = client.compile(SPEC)
    ada = pipeline.with_options(labels=["monday", "billing"]).run(customer="ada").run_id
    bo = pipeline.run(customer="bo", urgent=True).run_id
    assert labels_of(client, ada) == ["account:ADA", "billing", "monday"]
    assert labels_of(client, bo) == ["account:BO", "billing", "urgent"]
    assert [run.run_id for run in client.list_runs(labels=["billing"])] == [bo, ada]
    assert [run.run_id for run in client.list_runs(labels=["billing", "urgent"])] == [bo]
    assert [run.run_id for run in client.list_runs(text="account:ADA")] == [ada]


def test_a_fork_has_the_labels_of_its_own_inputs(client: orc.Orchestrator) -> None:
    run = client.compile(SPEC).run(customer="ada")
    fork = client.fork(run.run_id, from_step="first", inputs={"customer": "cy"}, labels=["again"])
    fork.wait()
    assert labels_of(client, fork.id) == ["account:CY", "again", "billing"]


@pytest.mark.parametrize("customer", ["", "x" * 94, "{}"])
def test_what_cannot_be_a_label_starts_nothing(client: orc.Orchestrator, customer: str) -> None:
    labels = {"": "{{ customer }}", "{}": "{{ customer | from_json }}"}.get(customer, "account:{{ customer }}")
    pipeline = client.compile(SPEC | {"labels": [labels]})
    with pytest.raises(orc.InputError, match="label"):
        pipeline.run(customer=customer)
    assert client.list_runs() == []


def test_inputs_cannot_claim_a_reserved_label(client: orc.Orchestrator) -> None:
    pipeline = client.compile(SPEC | {"labels": ["{{ customer }}"]})
    for word in ("orchestrator:hosted", "trigger:report/nightly", "instant:2026-01-01", "parent:x"):
        with pytest.raises(orc.InputError, match="are reserved"):
            pipeline.run(customer=word)
    assert client.list_runs() == []


def test_a_row_whose_label_cannot_be_evaluated_is_invalid(client: orc.Orchestrator) -> None:
    pipeline = client.compile(SPEC | {"labels": ["{{ customer }}"]})
    results = {each.row: each for each in pipeline.map([{"customer": "ada"}, {"customer": " "}])}
    assert [results[row].state for row in sorted(results)] == ["succeeded", "invalid"]
    assert [run.run_id for run in client.list_runs(labels=["ada"])] == [results[1].run_id]


def test_a_label_shows_no_secret(client: orc.Orchestrator) -> None:
    pipeline = client.compile(SPEC | {"labels": ["{{ seal }}"]})
    run = pipeline.run(customer="ada", key="a-long-secret-key").run_id
    (label,) = labels_of(client, run)
    assert label.startswith("sealed with ")
    assert "a-long-secret-key" not in label


def test_labels_change_nothing_of_what_a_run_does(client: orc.Orchestrator) -> None:
    with_labels, without = client.compile(SPEC), client.compile({**SPEC, "labels": None})
    assert with_labels.to_dict()["digest"] == without.to_dict()["digest"]
    assert with_labels.to_dict()["labels"] == SPEC["labels"]
    assert "labels" not in without.to_dict()
