"""What happens to open positions."""
