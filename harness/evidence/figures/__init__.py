"""Figures, drawn only from what tables say: functions from data and a width to a matplotlib Figure.

fig = gold_by_method(comparison(run), "column")      # 3.3 inches wide, as a column of a paper; "full" is 6.9
save(fig, Path("gold_by_method"), ("pdf", "svg"))
"""
