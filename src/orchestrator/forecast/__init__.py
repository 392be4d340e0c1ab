"""What a run would do, which models it would call, and what that may cost, before it starts."""
