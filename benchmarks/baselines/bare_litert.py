"""What anybody would write to time a LiteRT file: MODEL INPUT CPU WARMUP COUNT."""

import json
import os
import sys
import time

model, path, core, warmup, count = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
os.sched_setaffinity(0, {core})

import numpy  # noqa: E402  (threads start on import: pinned first)
from ai_edge_litert.interpreter import Interpreter  # noqa: E402

waveform = numpy.fromfile(path, numpy.float32)
interpreter = Interpreter(model_path=model, num_threads=1)
for key in interpreter.get_signature_list():
    run = interpreter.get_signature_runner(key)
    [(name, details)] = run.get_input_details().items()
    if numpy.prod(details["shape"]) == len(waveform):
        break
else:
    sys.exit(f"no signature of {model} takes {len(waveform)} samples")
feed = {name: waveform.reshape(details["shape"])}


def measure() -> tuple[list[int], list[int]]:
    """Nanoseconds of each inference, of wall time and of CPU time."""
    samples_ns, cpu_ns = [], []
    for _ in range(count):
        cpu_before = time.process_time_ns()
        before = time.perf_counter_ns()
        run(**feed)
        after = time.perf_counter_ns()
        cpu_ns.append(time.process_time_ns() - cpu_before)
        samples_ns.append(after - before)
    return samples_ns, cpu_ns


for _ in range(1 + warmup):  # the first inference is no warm-up to the agent
    run(**feed)
wall, cpu = map(numpy.median, measure())
print(json.dumps({"median_ns": float(wall), "cpu_median_ns": float(cpu)}))
