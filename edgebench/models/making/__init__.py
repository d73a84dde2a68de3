"""Writing model files: export from torch, networks with random weights, cards."""
