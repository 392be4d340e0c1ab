"""Diagnoses YAML syntax errors: the cause, the place and the fix."""
