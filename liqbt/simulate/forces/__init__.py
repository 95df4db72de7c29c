"""The planted mechanisms."""
