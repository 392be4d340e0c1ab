"""What is read from a journal stays what it is: frozen journals of all conformance runs are read again."""

import json
import os

import pytest

from orchestrator.journal.step_payloads import StepSkippedPayload
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
            assert event.data.keys() <= event.payload.fields
            assert list(event.payload.to_data().items()) == list(event.data.items())


def test_a_payload_cannot_be_changed_and_has_no_other_fields():
    payload = StepSkippedPayload(reason="jump", by="a")
    with pytest.raises(AttributeError):
        payload.by = "b"
    with pytest.raises(TypeError, match="has no bye"):
        StepSkippedPayload(bye="b")  # type: ignore[call-arg]
    assert payload.replace(by="b") == StepSkippedPayload(reason="jump", by="b") != payload
    assert StepSkippedPayload(reason="jump", by=None).without_nulls().to_data() == {"reason": "jump"}
    assert StepSkippedPayload().by is None


@pytest.mark.parametrize("case", CASES)
def test_status_history_resume_state_and_reasons_are_read_as_before(case: str):
    assert json.loads(json.dumps(frozen.projections(CASES[case]))) == EXPECTED[case]
