"""Searching schemes and their settings for files that are small, fast on a board, and still right."""
