"""Reading other people's checkpoints, whole or not at all."""
