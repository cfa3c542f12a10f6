"""Breaks the harness on purpose and counts what comes of it: short in the tests, long as `python -m tests.faults`."""
