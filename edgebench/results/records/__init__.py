"""The stored lines, and the store that keeps them."""
