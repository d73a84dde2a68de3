"""What anybody would write to time a model: MODEL INPUT CPU WARMUP COUNT. Knows nothing of edgebench."""

import json
import os
import sys
import time

model, path, cpu, warmup, count = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
os.sched_setaffinity(0, {cpu})

import numpy  # noqa: E402  (threads start on import: pinned first)
import onnxruntime  # noqa: E402

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feed = {session.get_inputs()[0].name: numpy.fromfile(path, numpy.float32)[numpy.newaxis]}


def measure() -> list[int]:
    """Nanoseconds of each inference."""
    samples_ns = []
    for _ in range(count):
        before = time.perf_counter_ns()
        session.run(None, feed)
        samples_ns.append(time.perf_counter_ns() - before)
    return samples_ns


for _ in range(1 + warmup):  # the first inference is no warm-up to the agent
    session.run(None, feed)
print(json.dumps({"median_ns": float(numpy.median(measure()))}))
