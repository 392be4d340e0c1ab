"""Triggers: what starts runs by itself, by a schedule or a signed request, once for each occasion."""
