"""A fresh process that times one file in one engine on one core; ``benchmarks.peers`` starts it by its path.

``PYTHON peers_launch.py ENGINE FILE WAVEFORM.npy SECONDS CORE`` needs numpy and the engine alone. It prints
JSON: processor and wall time of each inference in nanoseconds, what was answered to the waveform, and the
engine's version.
"""

import json
import os
import sys
import time

import numpy as np

WARMUP_S, LEAST = 0.3, 16


def onnxruntime(path, waveform):
    """One thread, as edgebench sets it."""
    import onnxruntime as engine

    options = engine.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = engine.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: waveform}
    return engine.__version__, lambda: session.run(None, feed)


def openvino(path, waveform, **precision):
    """One thread and one stream. Without more said it computes as it likes: in bfloat16 where it can."""
    import openvino as engine

    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
        **precision,
    }
    core = engine.Core()
    model = core.read_model(path)
    model.reshape(list(waveform.shape))
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    names = range(len(model.outputs))

    def infer():
        found = request.infer({0: waveform}, share_inputs=True, share_outputs=True)
        return [found[name] for name in names]

    return engine.__version__, infer


def openvino_f32(path, waveform):
    """Told to compute in 32-bit floats."""
    return openvino(path, waveform, INFERENCE_PRECISION_HINT="f32")


def litert(path, waveform):
    """The signature that takes the waveform, with XNNPACK."""
    import ai_edge_litert as engine
    from ai_edge_litert.interpreter import Interpreter

    return engine.__version__, _signature(Interpreter(model_path=path, num_threads=1), waveform)


def tflite_runtime(path, waveform):
    """The same in the library's last release under its old name."""
    import tflite_runtime as engine
    from tflite_runtime.interpreter import Interpreter

    return engine.__version__, _signature(Interpreter(model_path=path, num_threads=1), waveform)


def _signature(interpreter, waveform):
    size = waveform.shape[1]
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        ((name, details),) = runner.get_input_details().items()
        if details["shape_signature"][1] in {-1, size}:
            return lambda run=runner, feed={name: waveform}: list(run(**feed).values())
    raise SystemExit(f"no signature takes {size} samples")


ENGINES = (onnxruntime, openvino, openvino_f32, litert, tflite_runtime)


def main():
    """Time it, and print what was found."""
    name, path, clip, seconds, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    waveform = np.load(clip)[np.newaxis]
    engine = {one.__name__: one for one in ENGINES}[name]
    version, infer = engine(path, waveform)
    output = [np.asarray(one, np.float32).ravel().tolist() for one in infer()]
    end = time.perf_counter() + WARMUP_S
    while time.perf_counter() < end:
        infer()
    cpu_ns, wall_ns = [], []
    end = time.perf_counter() + float(seconds)
    while time.perf_counter() < end or len(cpu_ns) < LEAST:
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        infer()
        wall_ns.append(time.perf_counter_ns() - wall)
        cpu_ns.append(time.process_time_ns() - cpu)
    json.dump({"version": version, "cpu_ns": cpu_ns, "wall_ns": wall_ns, "output": output}, sys.stdout)


if __name__ == "__main__":
    main()
