"""Judging results and summarizing pipelines: rules and models, outside of any run."""
