"""How positions come."""
