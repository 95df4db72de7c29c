"""A leveraged market whose truth is known: events as a venue would publish them, truth beside them.

Nothing here may use an estimator: the market would mark its own homework.
"""
