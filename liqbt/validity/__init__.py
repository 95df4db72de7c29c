"""The validity gate: whether a claim's test has the size and the power that it says it has.

Replications of simulated markets go through the pipeline that runs go through. In markets where
nothing acts a test may find something as rarely as it says (size); in markets where something was
planted it should find it (power, against the effect measured from the truth); and where the
forecasts were made from the future it must find it (oracle), or the score is broken.
"""
