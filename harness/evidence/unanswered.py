"""Prompts of a run that an import has no answer to: they stand in its table without a score, and are no empty answers.

unanswered(part)          # (P,) True where the file had nothing
"""

import polars as pl


def unanswered(answers: pl.DataFrame) -> pl.Series:
    """Which answers of one row are none; a text that somebody wrote has its tokens, be it empty."""
    uncounted = answers.get_column("n_tokens", default=pl.zeros(len(answers), eager=True)).is_null()
    return uncounted & (answers["response"] == "")
