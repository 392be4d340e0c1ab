"""Which workers are alike: they can execute the same runs."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from orchestrator.distribution import VERSION

if TYPE_CHECKING:
    from orchestrator.api.orchestrator import Orchestrator


def kind_of(orchestrator: Orchestrator) -> str:
    """Return a digest of what decides which runs a worker can execute; it is the same for workers that are alike."""
    backend = orchestrator.backend
    allowed = backend.permissions
    parts = [
        VERSION,
        platform.python_version(),
        sorted(f"{each.metadata['Name']} {each.version}" for each in distributions()),
        sorted(backend.registry.names()),
        [str(path) for path in allowed.roots],
        allowed.allow_run,
        list(allowed.allow_hosts),
        sorted(os.environ),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
