"""Statistics that no claim and no report of liqbt reads."""
