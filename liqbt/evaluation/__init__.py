"""Outcomes, nulls, scores, inference and claims: pure functions on arrays."""
