from pathlib import Path

import orchestrator as orc

with orc.Orchestrator() as orchestrator:
    run = orchestrator.compile(Path("pipeline.yaml")).start()
    for event in run.events():
        if event.type == "step.started":
            run.cancel(reason="too slow")
            break
    try:
        run.result()
    except orc.RunCancelled as error:
        print(error)
