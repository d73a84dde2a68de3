"""One folder a paper: what it published, beside what is measured here."""
