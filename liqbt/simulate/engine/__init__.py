"""The one loop over the path."""
