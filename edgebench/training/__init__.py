"""Training: recipes, data, losses, the loop, and the artifacts a finished run leaves. Needs torch.

Importing this package imports no torch; ``edgebench.training.run.train`` does.
"""
