"""Metrics: the table of them, and how each is drawn from the records."""
