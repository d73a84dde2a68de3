"""The one thing that runs on a board. Python 3.8+, standard library, numpy and one runtime."""
