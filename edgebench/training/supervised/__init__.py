"""Supervised training on labels."""
