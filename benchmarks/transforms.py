"""Augmentation of image and mask: one composed grid beside kornia's chain, interleaved.

Both flip, turn, shift, scale and bend the same batch with the same strengths, bilinear for the
image, nearest for the mask, reflected at the border. kornia does it step by step, as its
``AugmentationSequential`` does; the elastic step, which kornia draws from another distribution, is
its ``remap`` with our field. Every round runs both, in alternating order; the ratio is taken round
by round. Times are CPU seconds of this process, which other jobs on the machine disturb less.

    OMP_NUM_THREADS=1 python -m benchmarks.transforms --json result.json
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from kornia import augmentation as K
from kornia.geometry.transform import remap
from torch import Tensor

from benchmarks import common
from course_lib.data.transforms import ELASTIC_POINTS, Augmentation, augment, elastic_field

STEPS = {
    "flip": Augmentation(flip=True),
    "flip, affine": Augmentation(flip=True, rotate=25, shift=0.15, scale=0.1),
    "flip, affine, elastic": Augmentation(
        flip=True, rotate=25, shift=0.15, scale=0.1, elastic=0.03
    ),
}
Batch = tuple[Tensor, Tensor]


def kornia_chain(augmentation: Augmentation) -> Callable[[Tensor, Tensor], Batch]:
    """Return kornia's counterpart of ``augment`` for masks ``(B, 1, H, W) float32``."""
    parts = [K.RandomHorizontalFlip(p=0.5), K.RandomVerticalFlip(p=0.5)]
    if augmentation.rotate:
        parts.append(
            K.RandomAffine(
                augmentation.rotate,
                translate=(augmentation.shift, augmentation.shift),
                scale=(1 - augmentation.scale, 1 + augmentation.scale),
                padding_mode="reflection",
                p=1.0,
            )
        )
    chain = K.AugmentationSequential(*parts, data_keys=["input", "mask"])

    def run(images: Tensor, masks: Tensor) -> Batch:
        images, masks = chain(images, masks)
        if augmentation.elastic:
            images, masks = bend(images, masks, augmentation.elastic)
        return images, masks

    return run


def bend(images: Tensor, masks: Tensor, strength: float) -> Batch:
    """Move pixels by kornia's ``remap`` along a field of ours."""
    count, _, height, width = images.shape
    control = strength * (2 * torch.rand(count, 2, ELASTIC_POINTS, ELASTIC_POINTS) - 1)
    identity = torch.eye(2, 3).expand(count, 2, 3)
    grid = torch.nn.functional.affine_grid(identity, list(images.shape), align_corners=False)
    x, y = (grid + elastic_field(control, (height, width))).unbind(-1)
    options = {
        "padding_mode": "reflection",
        "align_corners": False,
        "normalized_coordinates": True,
    }
    return remap(images, x, y, **options), remap(masks, x, y, mode="nearest", **options)


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(augmentation: Augmentation, size: int, batch: int, rounds: int) -> dict[str, float]:
    """Time both on one batch of RGB images; return medians in ms and the ratio with quartiles."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    images = torch.rand(batch, 3, size, size)
    masks = torch.randint(0, 2, (batch, size, size))
    float_masks = masks[:, None].float()
    chain = kornia_chain(augmentation)
    rivals = {
        "ours": lambda: augment(images, masks, augmentation, generator),
        "kornia": lambda: chain(images, float_masks),
    }
    times = {name: [] for name in rivals}
    for number in range(rounds + 2):
        for name in sorted(rivals, reverse=number % 2 == 1):
            taken = seconds(rivals[name])
            if number >= 2:  # the first rounds warm up
                times[name].append(taken)
    ratio = np.divide(times["kornia"], times["ours"])
    low, middle, high = np.percentile(ratio, (25, 50, 75))
    return {
        "ours_ms": 1000 * float(np.median(times["ours"])),
        "kornia_ms": 1000 * float(np.median(times["kornia"])),
        "ratio": float(middle),
        "quartiles": [float(low), float(high)],
    }


def table(result: dict) -> pd.DataFrame:
    """Return one row a set of steps."""
    rows = [
        {**row, "quartiles": "{:.2f} to {:.2f}".format(*row["quartiles"])} for row in result["rows"]
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=30)
    given = common.parse(parser, rounds=5)
    rows = [
        {"steps": name, **compare(augmentation, given.size, given.batch, given.rounds)}
        for name, augmentation in STEPS.items()
    ]
    setting = {"size": given.size, "batch": given.batch, "rounds": given.rounds}
    result = {"ratio": "kornia over ours", **setting, "rows": rows}
    common.report("transforms", result, table(result), given)


if __name__ == "__main__":
    main()
