"""Known wrong answers of notebook 05, right ones in another style, and hand-checked values."""

import math
from itertools import pairwise

import numpy as np
import torch


def was_called(net, x):
    called = set()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: called.add(name))
        for name, module in net.named_modules()
    ]
    net(x)
    for hook in hooks:
        hook.remove()
    return [name for name, _ in net.named_parameters() if name.rpartition(".")[0] not in called]


def zero_or_none(net, x):
    net.zero_grad()
    net(x).sum().backward()
    return [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]


def not_asked_for(net, x):
    return [name for name, p in net.named_parameters() if not p.requires_grad]


def by_autograd(net, x):
    names, parameters = zip(*net.named_parameters(), strict=True)
    found = torch.autograd.grad(net(x).mean(), parameters, allow_unused=True)
    return tuple(name for name, g in zip(names, found, strict=True) if g is None)


def forward_from_the_image(graph, output):
    found = {"image"}
    while True:
        fed = {node for node, inputs in graph.items() if found & set(inputs)}
        if fed <= found:
            return found
        found |= fed


def one_step_back(graph, output):
    return {output, *graph.get(output, [])}


def read_by_somebody(graph, output):
    return {output}.union(*graph.values())


def recursive(graph, output):
    return {output}.union(*(recursive(graph, node) for node in graph.get(output, [])))


def halves(sizes, scores, edges, inside=lambda low, size, high: low <= size < high):
    for low, high in pairwise(edges):
        pairs = zip(sizes, scores, strict=True)
        yield [(size, score) for size, score in pairs if inside(low, size, high)]


def mean(values):
    return float(np.mean(values)) if len(values) else math.nan


def without_misses(sizes, scores, edges):
    found = [[score for _, score in part if score > 0] for part in halves(sizes, scores, edges)]
    return [(len(part), mean(part)) for part in found]


def both_ends(sizes, scores, edges):
    closed = halves(sizes, scores, edges, lambda low, size, high: low <= size <= high)
    return [(len(part), mean([score for _, score in part])) for part in closed]


def nothing_is_zero(sizes, scores, edges):
    rows = other_bins(sizes, scores, edges)
    return [(n, 0.0 if n == 0 else value) for n, value in rows]


def by_pixels(sizes, scores, edges):
    rows = []
    for part in halves(sizes, scores, edges):
        weight = sum(size for size, _ in part)
        value = sum(size * score for size, score in part) / weight if part else math.nan
        rows.append((len(part), value))
    return rows


def other_bins(sizes, scores, edges):
    where = np.digitize(sizes, edges) - 1
    scores = np.array(scores)
    return [(int((where == k).sum()), mean(scores[where == k])) for k in range(len(edges) - 1)]


WRONG = {
    "05-1": [
        (was_called, "thrown away"),
        (zero_or_none, "zero today"),
        (not_asked_for, "a wish"),
    ],
    "05-2": [
        (forward_from_the_image, "walked forward"),
        (one_step_back, "what do those read"),
        (read_by_somebody, "who reads AG3"),
    ],
    "05-3": [
        ("G", "not dead"),
        ("ABCDG", "Where is EB-6"),
        ("bf", "Where is EB-6"),
        ("CG", "One more option"),
        ("CD", "second question"),
        ("CDE", "code of today"),
        ("CDF", "code of today"),
    ],
    "05-4": [
        (without_misses, "worst score"),
        (both_ends, "counted twice"),
        (nothing_is_zero, "mean of nothing"),
        (by_pixels, "one vote"),
    ],
}
OTHER_STYLE = {
    "05-1": by_autograd,
    "05-2": recursive,
    "05-3": "d, c; g",
    "05-4": other_bins,
}
LIVE = {"image", "stem", "EB1", "EB2", "DB3", "AG4", "DB4", "head"}
REST = {"EB3", "EB4", "EB5", "AGW", "EB6", "EB7", "AG1", "DB1", "AG2", "DB2", "AG3"}
GOLDEN = {
    "05-1": [[], ["c.weight"], ["d.weight"], []],
    "05-2": [{"image", "a", "b"}, LIVE, LIVE | REST, {"x"}],
    "05-4": [
        [(2, 0.3), (1, 0.8), (1, 0.9)],
        [(0, math.nan), (2, 0.6)],
        [(1, 0.2), (0, math.nan), (1, 0.9)],
    ],
}
