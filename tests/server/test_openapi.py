"""The description of the API is true: generated requests, valid and invalid, receive the responses that it has."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    ignored_auth,
    positive_data_acceptance,
    unsupported_method,
)

from orchestrator.server.app import create_api
from orchestrator.server.service import Service
from tests.server.conftest import ASK, HELLO
from tests.server.support import Client, client_of, serving

DESCRIPTION = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"

schema = schemathesis.openapi.from_path(DESCRIPTION)


@schemathesis.serializer("application/jsonl")
def as_line(context: Any, value: Any) -> bytes:
    """Write the body of a batch: its first line."""
    return json.dumps(value).encode() + b"\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Client]:
    """A server with two pipelines and the runs of both."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "hello.yaml").write_text(HELLO)
        (directory / "ask.yaml").write_text(ASK)
        with serving(directory) as server:
            client = client_of(*server)
            client.start("hello", wait=30)
            yield client
            client.http.close()


def test_the_description_is_up_to_date(server: tuple[Service, str]):
    assert json.loads(DESCRIPTION.read_text()) == create_api(server[0]).openapi()


WAIT = 120
"""Seconds that a request may take on a busy machine."""

# What a schema cannot say is refused too, such as a pipeline with errors; `test_access` has requests without a token;
# and names of pipelines and triggers have slashes, so that paths below them, such as `/v1/triggers/a/b/pause`, are
# also the names of others, with other methods.
NOT_CHECKED = [positive_data_acceptance, ignored_auth, allow_header_conformance, unsupported_method]


ENDLESS = "/v1/events"
"""A stream that does not end: `test_run_list` reads it."""


@schema.exclude(path=ENDLESS).parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_response_is_as_described(case: Any, running: Client):
    headers = {"authorization": running.http.headers["authorization"]}
    case.call_and_validate(
        base_url=str(running.http.base_url), headers=headers, excluded_checks=NOT_CHECKED, timeout=120
    )
