"""Whether a measurement can be believed, and why not."""
