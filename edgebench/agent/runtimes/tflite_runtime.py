"""tflite_runtime, LiteRT under its name until 2.14: the last release for Python 3.8 and for old glibc.

It silently gives wrong numbers for some files that LiteRT runs (dynamic-range weights per channel).
The comparison of outputs with the host's finds them.
"""

from __future__ import annotations

from edgebench.agent.runtimes import litert


class Runtime(litert.Runtime):
    """The library; see ``base.Runtime``."""

    name = "tflite_runtime"

    def __init__(self) -> None:
        import tflite_runtime
        from tflite_runtime import interpreter

        self._interpreter = interpreter.Interpreter
        self._resolvers = interpreter.OpResolverType
        self.version: str = tflite_runtime.__version__
        self.providers: list[str] = []
