"""How anybody would run a model file on one thread. Knows nothing of edgebench."""


def of(model: str, path: str):
    """A call without arguments that runs ``model`` on the float32 samples in the file ``path``."""
    import numpy

    waveform = numpy.fromfile(path, numpy.float32)[numpy.newaxis]
    return _of_tflite(model, waveform) if model.endswith(".tflite") else _of_onnx(model, waveform)


def _of_onnx(model, waveform):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: waveform}
    return lambda: session.run(None, feed)


def _of_tflite(model, waveform):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=model, num_threads=1)
    for key in interpreter.get_signature_list():
        run = interpreter.get_signature_runner(key)
        (name, details), *_ = run.get_input_details().items()
        if details["shape"].tolist() == list(waveform.shape):
            return lambda: run(**{name: waveform})
    raise SystemExit(f"no signature takes {waveform.shape[1]} samples")
