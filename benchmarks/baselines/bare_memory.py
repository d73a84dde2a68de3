"""The smallest process that runs a model and knows its peak: MODEL INPUT CPU WARMUP COUNT."""

import os
import sys

os.sched_setaffinity(0, {int(sys.argv[3])})
with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123  (pathlib would be in the figure)
    file.write("5")

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120  (pathlib would be in the figure)
import inference  # noqa: E402

infer = inference.of(sys.argv[1], sys.argv[2])
for _ in range(1 + int(sys.argv[4]) + int(sys.argv[5])):
    infer()
with open("/proc/self/status") as file:  # noqa: PTH123
    peak_kb = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
print(f'{{"hwm_bytes": {peak_kb * 1024}}}')
