"""What is read from an ONNX graph: shapes, parameters, multiply-accumulates, parity of outputs."""
