"""Events, the store that keeps them, and the fold from events to the status of a run.

The store and the journal are loaded when first used: the database toolkit takes longer to import than all the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from orchestrator.journal.commit_thread import Journal, RunJournal
    from orchestrator.journal.events import ENDS, Event, EventType, RunState, StepState
    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.records import (
        LEASE_SECONDS,
        CacheEntry,
        Command,
        CommandKind,
        Lease,
        NewRun,
        Pruned,
        RunRecord,
        StoreStats,
    )
    from orchestrator.journal.state.fold import fold, fold_all, status_of
    from orchestrator.journal.state.resume_state import ItemEnds, ResumeState, resume_state
    from orchestrator.journal.state.run_state import RunFold
    from orchestrator.journal.state.status import ActiveStep, RunStatus
    from orchestrator.journal.state.step_history import StepRecord, step_records
    from orchestrator.journal.store.store import Store

__all__ = [
    "ENDS",
    "LEASE_SECONDS",
    "ActiveStep",
    "CacheEntry",
    "Command",
    "CommandKind",
    "Event",
    "EventType",
    "ItemEnds",
    "Journal",
    "Lease",
    "NewRun",
    "Owner",
    "Pruned",
    "ResumeState",
    "RunFold",
    "RunJournal",
    "RunRecord",
    "RunState",
    "RunStatus",
    "StepRecord",
    "StepState",
    "Store",
    "StoreStats",
    "fold",
    "fold_all",
    "resume_state",
    "status_of",
    "step_records",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "ActiveStep": "state.status",
        "CacheEntry": "records",
        "Command": "records",
        "CommandKind": "records",
        "ENDS": "events",
        "Event": "events",
        "EventType": "events",
        "ItemEnds": "state.resume_state",
        "Journal": "commit_thread",
        "LEASE_SECONDS": "records",
        "Lease": "records",
        "NewRun": "records",
        "Owner": "process_identity",
        "Pruned": "records",
        "ResumeState": "state.resume_state",
        "RunFold": "state.run_state",
        "RunJournal": "commit_thread",
        "RunRecord": "records",
        "RunState": "events",
        "RunStatus": "state.status",
        "StepRecord": "state.step_history",
        "StepState": "events",
        "Store": "store.store",
        "StoreStats": "records",
        "fold": "state.fold",
        "fold_all": "state.fold",
        "resume_state": "state.resume_state",
        "status_of": "state.fold",
        "step_records": "state.step_history",
    },
)
