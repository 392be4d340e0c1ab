"""`python -m orchestrator.cli`: the command without its script, as a detached run starts itself."""

from orchestrator.cli import main

main()
