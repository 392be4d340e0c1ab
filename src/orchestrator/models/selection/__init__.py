"""Which models a step may use, in which order, and why."""
