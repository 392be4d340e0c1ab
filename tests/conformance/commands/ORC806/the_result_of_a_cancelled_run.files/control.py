from pathlib import Path

import orchestrator as orc

with orc.Orchestrator() as orchestrator:
    run = orchestrator.compile(Path("pipeline.yaml")).start()
    run.cancel(reason="too slow")
    try:
        run.result()
    except orc.RunCancelled as error:
        print(error)
