"""The public API: compile pipelines, run them, follow and control runs, read results.

`orchestrator` itself lists the public names.
"""
