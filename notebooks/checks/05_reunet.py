"""Exercises of notebook 05: right answers, cases, hints, and what known wrong answers give."""

import math
from itertools import combinations, pairwise

import torch
from torch import nn

from course_lib.teaching import Exercise, Wrong


def unreached(net, x):
    """Names of the parameters that no output depends on: backward leaves their gradient None."""
    net.zero_grad(set_to_none=True)
    net(x).sum().backward()
    return [name for name, p in net.named_parameters() if p.grad is None]


def live(graph, output):
    """Nodes that the output depends on, itself among them."""
    found, stack = set(), [output]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(graph.get(node, []))
    return found


def by_size(sizes, scores, edges):
    """(n, mean score) of each half-open bin of sizes; NaN where it holds no case."""
    rows = []
    for low, high in pairwise(edges):
        found = [s for size, s in zip(sizes, scores) if low <= size < high]  # noqa: B905
        rows.append((len(found), sum(found) / len(found) if found else math.nan))
    return rows


class Small(nn.Module):
    """Up to four 1x1 layers, a to d; ``wired`` says what is done with c and d."""

    def __init__(self, wired: str):
        super().__init__()
        self.wired = wired
        for name in {"chain": "ab", "dropped": "abc", "unused": "abd", "asleep": "ab"}[wired]:
            setattr(self, name, layer(-1 if wired == "asleep" else 1))

    def forward(self, x):
        """Return ``(B, 1, H, W)``; with ``dropped``, c is called and its output thrown away."""
        x = self.a(x).relu()
        if self.wired == "dropped":
            self.c(x)
        return self.b(x).relu()


def layer(weight):
    """A 1x1 convolution of one channel with this weight and no bias."""
    made = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(made.weight, weight)
    return made


# What each part of the released code reads. As the paper describes it, only DB3 differs.
RELEASED = {
    "stem": ["image"],
    "EB1": ["stem"],
    "EB2": ["EB1"],
    "EB3": ["EB2"],
    "EB4": ["EB3"],
    "EB5": ["EB4"],
    "AGW": ["EB4", "EB5"],
    "EB6": ["EB5", "AGW"],
    "EB7": ["EB6"],
    "AG1": ["EB6", "EB7"],
    "DB1": ["EB7", "AG1"],
    "AG2": ["EB3", "DB1"],
    "DB2": ["DB1", "AG2"],
    "AG3": ["EB2", "DB2"],
    "DB3": ["EB2"],
    "AG4": ["EB1", "DB3"],
    "DB4": ["DB3", "AG4"],
    "head": ["DB4"],
}
DESCRIBED = {**RELEASED, "DB3": ["DB2", "AG3"]}
IMAGE = torch.ones(2, 1, 4, 4)


def wrong_letters():
    """Every set of letters but the right one, with the hint that its first slip deserves."""
    for count in range(5):
        for options in combinations("ABCD", count):
            for origin in ("E", "F", "G", ""):
                chosen = {*options, *origin}
                if chosen and chosen != set("CDG"):
                    yield Wrong({0: chosen}, hint_for(set(options), origin))


def hint_for(options, origin):
    """The hint for one wrong set: the options first, then where the tables came from."""
    if options & {"A", "B"}:
        return "You chose A or B. Where is EB-6, or EB-4, in the live set of 05-2?"
    if not options:
        return "The net is cut, not dead: AG-4, EB-1 and EB-2 are alive. Which options touch them?"
    if options != {"C", "D"}:
        return "One more option reaches a live part: look at EB-1, EB-2 and AG-4 again."
    if not origin:
        return "And the second question? Add E, F or G."
    return "The code of today is not the run of then: which file shows what was run?"


EXERCISES = {
    "05-1": Exercise(
        reference=unreached,
        cases=tuple((Small(wired), IMAGE) for wired in ("chain", "dropped", "unused", "asleep")),
        hints=(
            "Run forward and backward once. What does backward write into a parameter?",
            "p.grad is a tensor where the output depends on p, even if it holds zeros; else None.",
            "net.zero_grad(set_to_none=True) first, then net(x).sum().backward(), then the names "
            "of all p with p.grad is None.",
        ),
        wrong=(
            Wrong(
                {1: [], 2: ["d.weight"], 3: []},
                "c is called, and its output is thrown away. Whose output reaches the loss?",
            ),
            Wrong(
                {1: ["c.weight"], 2: ["d.weight"], 3: ["a.weight", "b.weight"]},
                "A gradient of zero today is not an unconnected layer: None is.",
            ),
            Wrong(
                {1: [], 2: [], 3: []},
                "requires_grad is a wish, not a fact. What does backward leave behind?",
            ),
        ),
    ),
    "05-2": Exercise(
        reference=live,
        cases=(
            ({"a": ["image"], "b": ["a"], "c": ["a"]}, "b"),
            (RELEASED, "head"),
            (DESCRIBED, "head"),
            ({}, "x"),
        ),
        hints=(
            "Start at the output and walk towards the image, not the other way.",
            "Keep a stack of nodes to visit: take one, note it, put its inputs on the stack.",
            "while stack: node = stack.pop(); if it is new, add it and "
            "stack.extend(graph.get(node, [])).",
        ),
        wrong=(
            Wrong(
                {0: {"image", "a", "b", "c"}},
                "You walked forward from the image: that finds who is fed, not who is used. "
                "Start at the output.",
            ),
            Wrong(
                {0: {"a", "b"}},
                "These are the output and what it reads itself. And what do those read?",
            ),
            Wrong(
                {0: {"image", "a", "b"}, 1: {"image", *RELEASED} - {"AG3"}},
                "You kept what somebody reads. DB2 feeds AG3: who reads AG3?",
            ),
        ),
    ),
    "05-3": Exercise(
        reference="CDG",
        hints=(
            "Write down the eight live parts of the released graph (05-2).",
            "Which of the four options changes one of those parts? EB-4 to EB-7 are not among "
            "them; gates and gating signals are, in places.",
            "Intersect. Then ask of the tables: is there any file that shows which graph was run?",
        ),
        wrong=tuple(wrong_letters()),
        model_answer="C, through AG-4 only, and D, in EB-1 and EB-2. Plain blocks and the "
        "intermediator change parts that reach no output. G: the code that was released later "
        "does not tell which code made the tables.",
    ),
    "05-4": Exercise(
        reference=by_size,
        cases=(
            ([5, 8, 50, 500], [0.0, 0.6, 0.8, 0.9], [0, 10, 100, math.inf]),
            ([10, 20], [0.4, 0.8], [0, 10, 100]),
            ([5, 500], [0.2, 0.9], [0, 10, 100, math.inf]),
        ),
        hints=(
            "A bin holds low <= size < high: every case falls into one bin.",
            "Count first, then take the plain mean of the scores, the zeros too.",
            "(len(found), mean of found), and float('nan') as the mean where nothing was found.",
        ),
        wrong=(
            Wrong(
                {0: [(1, 0.6), (1, 0.8), (1, 0.9)]},
                "The missed case is gone. A miss is the worst score, not no score.",
            ),
            Wrong(
                {1: [(1, 0.4), (2, 0.6)]},
                "The case of 10 px is counted twice: a bin holds low <= size < high.",
            ),
            Wrong(
                {1: [(0, 0.0), (2, 0.6)]},
                "No case is not a bad case: the mean of nothing is NaN.",
            ),
            Wrong(
                {0: [(2, 0.3692), (1, 0.8), (1, 0.9)]},
                "You weighed by pixels. Here every image has one vote.",
            ),
        ),
    ),
}
