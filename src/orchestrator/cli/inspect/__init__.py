"""Commands that report on runs: status, events, results, questions, quality."""
