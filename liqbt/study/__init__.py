"""Experiments: configuration, composition, run folders. The only room that joins all the others.

What the floors above (audits, benchmarks, report, command line) need of the rooms below is
re-exported here.
"""
