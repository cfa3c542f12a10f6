"""What the stored tables call their columns, once for everything that reads or writes them.

scores.filter(pl.col("metric") == GOLD).join(completions, on=ANSWER)     # the gold of every stored answer
"""

from typing import NamedTuple

GOLD, PROXY, BASE_NLL = "gold_reward", "proxy_reward", "base_nll"  # metrics of scores.parquet
GREEDY = "base_greedy"
REFERENCES = ("base", GREEDY, "best_of_n")  # methods that every run has beside those asked for
CLUSTER = "cluster"  # of completions.parquet, where prompts belong together
OWN_NLL = "own_nll"  # likewise, of methods with a policy of their own


class Row(NamedTuple):
    """The key of a row of a run's table; polars groups by ROW into tuples that are equal to it."""

    method: str
    iteration: int  # 0 where nothing was fitted
    final_pick: str  # who chose among the finalists: value, reward or first

    @property
    def name(self) -> str:
        """'iro (iteration 2)', or the method alone where nothing was fitted; 'base (greedy)' of base_greedy."""
        if self.method == GREEDY:
            return "base (greedy)"
        return f"{self.method} (iteration {self.iteration})" if self.iteration else self.method


ROW = Row._fields
ANSWER = (*ROW, "prompt_id")  # completions.parquet is unique on it, scores.parquet with the metric
KEYS = ("run_id", "task", ROW[0], "variant", *ROW[1:], "seed")  # ANSWER and these are unique over all runs
COLUMNS = {  # that no report can do without, by table
    "completions": (*ANSWER, "prompt", "response"),
    "scores": (*ANSWER, "metric", "value"),
    "ledger": ("method", "iteration", "phase", "role"),
    "pool": ("part", "prompt_id", "row", PROXY, GOLD),
}
EVALUATED = "test"  # the part of pool.parquet that best-of-n answered with, on development prompts as well
ABOUT = ("config", "units", "task_facts")  # of run.json, likewise
