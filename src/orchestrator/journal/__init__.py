"""Events, the store that keeps them, and the fold from events to the status of a run.

The store and the journal are loaded when first used: the database toolkit takes longer to import than all the rest.
"""

from __future__ import annotations

from orchestrator.lazy_exports import lazy_exports

_EXPORTS = {
    "orchestrator.journal.commit_thread": ("Journal",),
    "orchestrator.journal.events": (
        "ENDS",
        "Event",
        "EventType",
        "RunState",
        "StepState",
    ),
    "orchestrator.journal.process_identity": ("Owner",),
    "orchestrator.journal.records": (
        "CacheEntry",
        "Command",
        "CommandKind",
        "LEASE_SECONDS",
        "Lease",
        "NewRun",
        "Pruned",
        "RunRecord",
        "StoreStats",
    ),
    "orchestrator.journal.run_journal": ("RunJournal",),
    "orchestrator.journal.state.fold": (
        "fold",
        "fold_all",
    ),
    "orchestrator.journal.state.folded_status": ("status_of",),
    "orchestrator.journal.state.resume_state": (
        "ItemEnds",
        "ResumeState",
        "resume_state",
    ),
    "orchestrator.journal.state.run_state": ("RunFold",),
    "orchestrator.journal.state.status": (
        "ActiveStep",
        "RunStatus",
    ),
    "orchestrator.journal.state.step_history": (
        "StepRecord",
        "step_records",
    ),
    "orchestrator.journal.store.store": ("Store",),
}
"""Each module with its names that the package has too."""

__getattr__ = lazy_exports(__name__, _EXPORTS)
