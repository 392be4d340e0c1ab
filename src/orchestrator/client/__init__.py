"""The client of a server: the verbs and handles of an orchestrator, over HTTP."""
