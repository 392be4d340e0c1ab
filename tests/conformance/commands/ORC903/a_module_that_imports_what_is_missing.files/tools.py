import weathervane

import orchestrator as orc


@orc.tool
def wind(place: str) -> float:
    """Return the speed of the wind."""
    return weathervane.speed(place)
