"""How a Python function becomes a tool: annotations, docstrings, results, threads."""
