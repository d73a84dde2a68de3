"""Short programs that run on the board, sent as text with ``python -c``: Python 3.8, standard library only.

Each reads one JSON object on standard input and prints one JSON object, last, on standard output.
"""
