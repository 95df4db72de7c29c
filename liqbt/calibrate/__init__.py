"""Calibrated probabilities, walked forward: only outcomes whose window has ended may train."""
