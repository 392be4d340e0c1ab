"""Searches the web: one form of requests and results for every provider."""
