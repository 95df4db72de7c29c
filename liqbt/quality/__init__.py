"""Quality of feeds: completeness, gaps, doubles, latency, oddities, coverage; and leaks."""
