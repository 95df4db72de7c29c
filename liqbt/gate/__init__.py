"""The regression gate: a run against its baseline, and two runs side by side."""
