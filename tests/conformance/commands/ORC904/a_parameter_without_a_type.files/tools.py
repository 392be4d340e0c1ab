import orchestrator as orc


@orc.tool
def wind(place, height: float = 10.0) -> float:
    """Return the speed of the wind."""
    return 0.3 * height
