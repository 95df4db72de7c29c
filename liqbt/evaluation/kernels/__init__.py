"""Compiled loops of evaluation; each has a naive twin in the tests."""
