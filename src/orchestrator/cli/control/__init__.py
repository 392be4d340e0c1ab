"""Commands that take control of a run: pause, resume, retry, fork, answer, cancel."""
