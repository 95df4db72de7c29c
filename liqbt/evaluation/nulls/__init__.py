"""Nulls that emit a probability: what would have happened without the information under test."""
