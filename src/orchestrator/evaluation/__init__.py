"""Judging results and summarizing pipelines, by rules and by models, outside of any run."""
