"""What the server of the processes imports: everything is loaded, so that a process costs milliseconds."""

from tests.concurrency.worker import warm_up

warm_up()
