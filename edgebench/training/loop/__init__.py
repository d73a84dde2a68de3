"""The loop that every method shares: checkpoints, batches, processes, progress."""
