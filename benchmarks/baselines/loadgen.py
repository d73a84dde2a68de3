"""MLPerf's LoadGen as the clock: MODEL INPUT CPU WARMUP COUNT. Knows nothing of edgebench."""

import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

model, path, core, warmup, count = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
os.sched_setaffinity(0, {core})

import mlperf_loadgen as loadgen  # noqa: E402  (threads start on import: pinned first)
import numpy  # noqa: E402
import onnxruntime  # noqa: E402

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feed = {session.get_inputs()[0].name: numpy.fromfile(path, numpy.float32)[numpy.newaxis]}


def issue(queries: list) -> None:
    """Answer each query with one inference; performance mode looks at no result."""
    for query in queries:
        session.run(None, feed)
        loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(query.id, 0, 0)])


for _ in range(1 + warmup):
    session.run(None, feed)

settings = loadgen.TestSettings()
settings.scenario = loadgen.TestScenario.SingleStream
settings.mode = loadgen.TestMode.PerformanceOnly
settings.min_duration_ms = 0
settings.min_query_count = count
settings.max_query_count = count
with tempfile.TemporaryDirectory() as folder:
    logs = loadgen.LogSettings()
    logs.log_output.outdir = folder
    logs.enable_trace = False
    system = loadgen.ConstructSUT(issue, lambda: None)
    library = loadgen.ConstructQSL(1, 1, lambda indices: None, lambda indices: None)
    begun_ns = time.process_time_ns()
    loadgen.StartTestWithLogSettings(system, library, settings, logs)
    cpu_ns = time.process_time_ns() - begun_ns
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(system)
    summary = (Path(folder) / "mlperf_log_summary.txt").read_text()
found = re.search(r"^50\.00 percentile latency \(ns\)\s*:\s*(\d+)", summary, re.MULTILINE)
if found is None or f"min_query_count : {count}" not in summary:
    sys.exit(f"LoadGen's summary is not what was expected:\n{summary}")
print(json.dumps({"median_ns": int(found.group(1)), "cpu_mean_ns": cpu_ns / count}))
