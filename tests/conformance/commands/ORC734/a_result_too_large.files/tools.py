import orchestrator as orc


@orc.tool
def readings() -> str:
    """Return all readings at once."""
    return "0" * 100_000_000
