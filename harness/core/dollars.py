"""What tokens of a server cost, in the one place that says so: for budgets while they are asked for, and for tables.

dollars_of(0.15, 0.075, 0.6, read=1_000_000, cached=200_000, written=5_000)      # 0.138
"""

_MILLION = 1e6


def dollars_of(price: float, price_cached: float, price_written: float, read: int, cached: int, written: int) -> float:
    """Prices are dollars per million tokens; `cached` are of those read. Without a price of their own (0) they cost as
    much as the others: whoever names none is billed no less than this."""
    return ((read - cached) * price + cached * (price_cached or price) + written * price_written) / _MILLION
