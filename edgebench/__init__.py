"""edgebench: which speech-emotion model, quantized how, should I ship on this board?"""

__version__ = "0.1.0"
