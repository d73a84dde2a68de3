"""The clips of a run: read, divided by speaker, decoded."""
