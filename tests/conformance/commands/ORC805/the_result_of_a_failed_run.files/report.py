from pathlib import Path

import orchestrator as orc

with orc.Orchestrator() as orchestrator:
    try:
        orchestrator.compile(Path("pipeline.yaml")).run()
    except orc.RunFailed as error:
        print(error)
        print("achieved nevertheless:", error.result.steps["title"].output)
