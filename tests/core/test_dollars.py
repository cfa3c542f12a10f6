"""What tokens of a server cost, by hand, and the budget that rests on it."""

import pytest

from harness.core.api.spending import Prices, Spending, Tokens
from harness.core.api.use import Budget
from harness.core.dollars import dollars_of
from harness.core.errors import UserError


def test_dollars_by_hand():
    assert dollars_of(2.0, 0.5, 8.0, read=1_000_000, cached=400_000, written=100_000) == pytest.approx(1.2 + 0.2 + 0.8)


def test_cached_tokens_are_not_free_to_whoever_names_no_price_of_them():
    """The documented command names two prices: what the server had read before cost nothing, and broke the budget."""
    tokens = Tokens(read=1_000_000, cached=900_000, written=0)
    assert Prices(input=2.0, output=8.0).of(tokens) == pytest.approx(2.0)
    assert Prices(input=2.0, cached=1.0, output=8.0).of(tokens) == pytest.approx(1.1)
    spending = Spending(Prices(input=2.0, output=8.0), Budget(usd=2.5))
    at_most = Tokens(900_000, 0, 0)
    spending.admit(at_most)
    spending.settle(at_most, tokens, 400)
    assert spending.usd == pytest.approx(2.0) == spending.data()["usd"]
    with pytest.raises(UserError, match="the budget is spent: 1 requests, 1,000,000 tokens, \\$2"):
        spending.admit(at_most)
