"""What is read from a journal stays what it is: frozen journals of all conformance runs are read again."""

import dataclasses
import json
import os

import pytest

from tests.history import frozen

if os.environ.get("UPDATE_FROZEN"):
    frozen.accept()

CASES = {journals.case: journals for journals in frozen.read()}
EXPECTED = frozen.expected()


def test_every_frozen_journal_has_an_expectation():
    assert CASES.keys() == EXPECTED.keys()


def test_payloads_have_all_that_events_record():
    for journals in CASES.values():
        for event in (each for events in journals.log.values() for each in events):
            payload = event.payload
            data = payload.to_data()
            assert event.data.keys() <= {field.name for field in dataclasses.fields(payload)}
            assert type(payload).from_data(data) == payload
            assert {name: event.data.get(name) for name in data} == data


@pytest.mark.parametrize("case", CASES)
def test_status_history_resume_state_and_reasons_are_read_as_before(case: str):
    assert json.loads(json.dumps(frozen.projections(CASES[case]))) == EXPECTED[case]
