"""What each planted mechanism amounts to, measured from the truth in the units of METHOD's claims.

Power is to be stated against these effects, not against the world's knobs. Nothing here estimates:
it reads the true map, the true path, and the displacement that each mechanism applied. A statistic
whose null is not zero in a market without mechanisms says so; the same world unplanted, with the
same seeds, is the comparison that needs no argument.
"""
