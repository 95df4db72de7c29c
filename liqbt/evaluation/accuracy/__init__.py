"""The audit of the 85 %: where no information scores it, and what the map scores there."""
