"""What anybody would write to time a model: MODEL INPUT CPU WARMUP COUNT. Knows nothing of edgebench."""

import json
import os
import sys
import time

model, path, core, warmup, count = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
os.sched_setaffinity(0, {core})

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120
import inference  # noqa: E402
import numpy  # noqa: E402  (threads start on import: pinned first)

infer = inference.of(model, path)


def measure() -> tuple[list[int], list[int]]:
    """Nanoseconds of each inference, of wall time and of CPU time."""
    samples_ns, cpu_ns = [], []
    for _ in range(count):
        cpu_before = time.process_time_ns()
        before = time.perf_counter_ns()
        infer()
        after = time.perf_counter_ns()
        cpu_ns.append(time.process_time_ns() - cpu_before)
        samples_ns.append(after - before)
    return samples_ns, cpu_ns


for _ in range(1 + warmup):  # the first inference is no warm-up to the agent
    infer()
wall, cpu = map(numpy.median, measure())
print(json.dumps({"median_ns": float(wall), "cpu_median_ns": float(cpu)}))
