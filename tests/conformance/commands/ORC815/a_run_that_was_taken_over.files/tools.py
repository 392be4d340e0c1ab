import time

import orchestrator as orc
from orchestrator.journal import Owner, Store
from orchestrator.journal.store.tables import runs


@orc.tool
def sleep_for_an_hour() -> None:
    """Do what happens when this process stands still for longer than its lease: another one takes the run."""
    with Store.open("sqlite:///.orchestrator/runs.db") as store:
        (status,) = store.list()
        with store.database.write() as connection:
            connection.execute(runs.update().values(lease_until=time.time() - 3600))
        store.acquire(status.run_id, Owner("db.example", 4711))
