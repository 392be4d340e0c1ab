from pathlib import Path

import orchestrator as orc

with orc.Orchestrator() as orchestrator:
    run = orchestrator.compile(Path("pipeline.yaml")).start()
    run.pause()
    try:
        run.result()
    except orc.RunPaused as error:
        print(error)
