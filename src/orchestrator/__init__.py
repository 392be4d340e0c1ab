"""Checked, durable pipelines of AI and tool steps."""
