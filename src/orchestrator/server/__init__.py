"""The HTTP server: an API, live event streams and the web page, for teams that share the runs of one store.

It holds no second truth: everything that it shows and does goes through `orchestrator.api`.
"""
