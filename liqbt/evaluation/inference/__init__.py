"""Inference: intervals from day sums, many claims at once, searches, monitoring."""
