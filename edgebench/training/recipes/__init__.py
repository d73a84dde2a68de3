"""Recipes: every number of a training run, in TOML files."""
