"""Runs the pipeline in a process that does not live to its end."""

import subprocess
import sys

subprocess.run(
    [sys.executable, "-m", "orchestrator", "run", "pipeline.yaml", "--tools", "tools.py"], capture_output=True
)
