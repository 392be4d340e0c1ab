from typing import Any

import orchestrator as orc


@orc.tool
def settings() -> Any:
    """Return what somebody configured."""
    return {"pause": "a while"}
