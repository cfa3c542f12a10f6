"""Scores and answers of several systems, read from the files that other harnesses write: no torch."""
