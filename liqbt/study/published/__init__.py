"""Somebody else's published levels, scored by the protocol of a run without their code."""
