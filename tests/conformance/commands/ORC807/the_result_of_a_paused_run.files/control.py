from pathlib import Path

import orchestrator as orc

with orc.Orchestrator() as orchestrator:
    run = orchestrator.compile(Path("pipeline.yaml")).start()
    for event in run.events():
        if event.type == "step.started":
            run.pause()
            break
    try:
        run.result()
    except orc.RunPaused as error:
        print(error)
