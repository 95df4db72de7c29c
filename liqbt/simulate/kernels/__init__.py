"""Compiled loops of the simulated market; each has a naive twin in the tests."""
