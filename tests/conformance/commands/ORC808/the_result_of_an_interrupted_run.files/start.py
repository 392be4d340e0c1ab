from pathlib import Path

import orchestrator as orc

with orc.Orchestrator() as orchestrator:
    orchestrator.compile(Path("pipeline.yaml")).start()
