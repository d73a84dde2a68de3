"""A corpus of generated voices, the same bit for bit on every machine."""
