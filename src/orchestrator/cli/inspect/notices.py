"""The notices of a run, as `status` and `show` print them."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.journal.state.status import NoticeStatus

MOST_NOTICES: Final = 5
"""How many are shown, the latest ones; `--json` has more, and the events all of them."""

_STATES: Final = {"pending": "to be sent to", "sent": "sent to", "failed": "not sent to"}


def notice_lines(notices: "Sequence[NoticeStatus]") -> list[str]:
    """Format notices, each as a line: of which occasion, to whom, and why it was not sent."""
    from orchestrator.cli.terminal.output import printable

    lines = []
    for notice in notices[-MOST_NOTICES:]:
        reason = f": {notice.error}" if notice.error else ""
        lines.append(printable(f"notice ({notice.occasion}) {_STATES[notice.state]} `{notice.to}`{reason}"))
    return lines
