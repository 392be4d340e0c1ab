"""What the server of the worker processes imports: everything is loaded, so that a process costs milliseconds."""

import tempfile

import orchestrator as orc
import tests.workers.process as process

with tempfile.TemporaryDirectory() as directory, orc.Orchestrator(store="sqlite://", directory=directory) as client:
    client.compile("steps: [{id: a, value: 1}, {id: b, ask: Why?}, {id: c, tool: sleep, parameters: {seconds: 0}}]")
    client.backend.require_tools()
    client.backend.registry.get("filesystem")
assert process.PROCESS is not None
