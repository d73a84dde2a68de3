"""SSH: configuration, host keys, authentication and commands."""
