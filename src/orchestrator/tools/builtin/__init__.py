"""The tools that come with Orchestrator, one module each; imported when a pipeline first names them."""
