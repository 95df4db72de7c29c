"""What the explorer draws: a run's map as compact arrays, what was known apart from what came.

`columns` gathers it, market by market and estimator by estimator; `packing` makes text of it that a
page holds; `kernels` follows clusters back through the forecasts.
"""
