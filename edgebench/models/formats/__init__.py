"""File formats of models: how each is recognised, read and checked, without running it."""
