import orchestrator as orc

with orc.Orchestrator() as orchestrator:
    try:
        orchestrator.get_run("last").result()
    except orc.RunError as error:
        print(error)
