"""Nets that label sounds for others to learn from."""
