"""Campaigns that try to lose something: faults, kills, fuzz. `python -m soak` prints one table."""
