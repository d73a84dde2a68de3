"""Which speakers train, validate and test: splits with their files, and the protocols that make them."""
