"""What Linux tells about memory, clocks, heat and load. Absent things are absent, never 0.

Containers, emulators and odd boards lack half of these files; every reader here answers with
None or leaves the entry out. ``root`` stands for / and lets tests read a recorded file tree.
"""
