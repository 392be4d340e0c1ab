"""A payment whose process is lost before it can be told that it was made."""

import os

from orchestrator import tool


@tool
def pay(amount: int) -> str:
    os._exit(9)
