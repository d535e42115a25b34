"""Training: a protocol, one readable loop, and evaluation at original size."""

from course_lib.training.evaluate import evaluate, predict
from course_lib.training.fit import History, fit
from course_lib.training.protocol import LOSSES, PROTOCOLS, Protocol

__all__ = ["LOSSES", "PROTOCOLS", "History", "Protocol", "evaluate", "fit", "predict"]
