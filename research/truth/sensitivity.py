"""How much clusters hang on smoothing, grid and prominence, in simulated markets."""
