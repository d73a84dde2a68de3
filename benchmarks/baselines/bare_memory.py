"""The smallest process that runs a model and knows its peak: MODEL INPUT CPU WARMUP COUNT."""

import os
import sys

os.sched_setaffinity(0, {int(sys.argv[3])})
with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123  (pathlib would be in the figure)
    file.write("5")

import numpy  # noqa: E402
import onnxruntime  # noqa: E402

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
feed = {session.get_inputs()[0].name: numpy.fromfile(sys.argv[2], numpy.float32)[numpy.newaxis]}
for _ in range(1 + int(sys.argv[4]) + int(sys.argv[5])):
    session.run(None, feed)
with open("/proc/self/status") as file:  # noqa: PTH123
    peak_kb = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
print(f'{{"hwm_bytes": {peak_kb * 1024}}}')
