"""Training: a protocol, one readable loop, and evaluation at original size.

``fit`` is the loop (``fit.py``), ``one_step`` what it does with a batch, ``Protocol`` how
(``protocol.py``), ``evaluate`` the per-case table afterwards.
"""

from course_lib.training.checkpoint import load_best
from course_lib.training.dry_run import DryRun
from course_lib.training.evaluate import evaluate, predict, predict_labels
from course_lib.training.fit import fit
from course_lib.training.history import History
from course_lib.training.hybrid import HybridStep
from course_lib.training.noted import Noted
from course_lib.training.progressive import EPL, external_progressive
from course_lib.training.protocol import LOSSES, PROTOCOLS, Protocol
from course_lib.training.seeding import Sampler, UniformSampler, deterministic, seed_of
from course_lib.training.update import Strategy, one_step

__all__ = [
    "EPL",
    "LOSSES",
    "PROTOCOLS",
    "DryRun",
    "History",
    "HybridStep",
    "Noted",
    "Protocol",
    "Sampler",
    "Strategy",
    "UniformSampler",
    "deterministic",
    "evaluate",
    "external_progressive",
    "fit",
    "load_best",
    "one_step",
    "predict",
    "predict_labels",
    "seed_of",
]
