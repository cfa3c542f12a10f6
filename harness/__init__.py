"""An evaluation-first benchmark harness for aligning frozen language models at test time."""

__version__ = "0.1.0"
