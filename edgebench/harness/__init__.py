"""From a suite to a stored run: suite -> plan -> runner. Read ``runner.py`` first."""
