"""Reads and writes archives, which can be hostile: within limits, and never outside of their destination."""
