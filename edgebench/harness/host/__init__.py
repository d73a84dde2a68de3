"""What is computed on this host beside the board: reference predictions and held-out scores."""
