"""Visits web pages with Chromium, in a process group of its own whose only way to the network is a filtering proxy."""
