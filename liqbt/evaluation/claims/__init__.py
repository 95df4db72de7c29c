"""Claims as data, and the rule that turns a score into a verdict."""
