"""Losses that look at borders, and the distance maps that one of them needs."""

import hashlib
import time

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from course_lib.losses.inputs import at_least_float32, check_labels, checked, probabilities_of


def boundary_loss(logits: Tensor, distance: Tensor) -> Tensor:
    """Return the boundary loss, the mean over pixels of ``p * distance``, foreground only.

    Negative values are right: the minimum is reached when ``p`` is the reference. Never use it
    alone or at weight 1 from the start; add it to Dice + CE with a weight that grows.

    Args:
        logits: ``(B, K, H, W)`` float, any range.
        distance: from :func:`distance_map`, ``(B, K - 1, H, W)`` (``K = 1``: ``(B, 1, H, W)``), px.

    Returns:
        Scalar in px, any sign, float32 (float64 for float64 logits).

    Raises:
        ValueError: for a wrong shape.

    Source: Kervadec et al. 2019, eq. 5.
    """
    if logits.ndim != 4:
        raise ValueError(f"logits must be (B, K, H, W), got shape {tuple(logits.shape)}")
    batch, channels, *size = logits.shape
    expected = (batch, max(1, channels - 1), *size)
    if tuple(distance.shape) != expected:
        raise ValueError(
            f"distance must be {expected} for logits {tuple(logits.shape)}, "
            f"got {tuple(distance.shape)}; make it with distance_map(masks, num_classes)"
        )
    probabilities = probabilities_of(at_least_float32(logits))
    foreground = probabilities if channels == 1 else probabilities[:, 1:]
    return (foreground * distance.to(foreground)).mean()


def laplacian_boundary_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return how much the edges of the prediction differ from those of the reference.

    Mean over pixels of ``|L p - L y| / 8``; ``L`` is the 3 x 3 Laplacian (8 in the centre, -1
    around it, borders repeated), so that it is 0 away from edges. Foreground channels only.

    Args:
        logits: ``(B, K, H, W)`` float, any range.
        target: ``(B, H, W)`` integer labels.

    Returns:
        Scalar in [0, 2], float32 (float64 for float64 logits).

    Raises:
        ValueError: for a wrong shape or a label outside the classes.

    Source: SiGREnet, section II.C names a "boundary loss" and gives no formula; this one is ours.
    """
    from kornia.filters import laplacian  # costs 3 s: only who needs it pays

    logits, reference = checked(logits, target)
    difference = probabilities_of(logits) - reference
    foreground = difference if logits.shape[1] == 1 else difference[:, 1:]
    # the Laplacian is linear: of the difference it is the difference
    return laplacian(foreground, 3, "replicate", normalized=False).abs().mean() / 8


def distance_map(masks: np.ndarray | Tensor, num_classes: int = 2) -> Tensor:
    """Return the signed distance of every pixel to the border of each foreground class.

    Outside a class: the distance to its nearest pixel. Inside: minus the distance to the nearest
    pixel outside it, plus 1, so that the last pixel inside has 0. A class that is absent, or that
    fills the image, has no border: its map is 0 and it does not contribute.

    Args:
        masks: ``(B, H, W)`` integer labels 0..num_classes-1, array or tensor.
        num_classes: labels including the background; 2 for the binary task.

    Returns:
        ``(B, num_classes - 1, H, W)`` float32 on the CPU, px. It may be stored beside the mask and
        flipped or turned by 90 degrees with it; after any other warp compute it again
        (:class:`DistanceMaps` does so).

    Raises:
        ValueError: for a wrong shape or a label outside the classes.

    Source: Kervadec et al. 2019, eq. 4, with the offset of 1 inside that the authors' code has.
    """
    masks = torch.as_tensor(masks)
    _check_masks(masks, num_classes)
    labels = masks.cpu().numpy()
    maps = [[_signed_distance(mask == k) for k in range(1, num_classes)] for mask in labels]
    return torch.from_numpy(np.array(maps, dtype=np.float32))


class DistanceMaps:
    """Distance maps of masks, each one computed once, whichever way round the mask comes.

    A mask that was seen before, also flipped or turned by quarters, gets the kept map, flipped or
    turned alike; the numbers are those of :func:`distance_map` bit for bit. Any other geometry
    (crops, small rotations, elastic warps) makes a new mask, whose map is computed.

    Args:
        num_classes: labels including the background; 2 for the binary task.
        max_bytes: of the maps that are kept; when it is full, new maps are computed every time.

    Attributes:
        served: how many maps were taken from those kept.
        computed: how many were computed.
        seconds: spent on computing them.
    """

    def __init__(self, num_classes: int = 2, max_bytes: int = 2**28) -> None:
        self.num_classes = num_classes
        self.max_bytes = max_bytes
        self.served, self.computed, self.seconds = 0, 0, 0.0
        self._kept: dict[bytes, np.ndarray] = {}
        self._bytes = 0

    def __call__(self, masks: Tensor) -> Tensor:
        """Return the maps ``(B, num_classes - 1, H, W)`` float32 of labels ``(B, H, W)``, px.

        Raises:
            ValueError: for a wrong shape or a label outside the classes.
        """
        _check_masks(masks, self.num_classes)
        labels = masks.cpu().numpy().astype(np.uint8)
        maps = np.stack([self._of_one(mask) for mask in labels])
        return torch.from_numpy(maps).to(masks.device)

    def _of_one(self, mask: np.ndarray) -> np.ndarray:
        turns = [(flip, quarter) for flip in (False, True) for quarter in range(4)]
        # of the eight ways round, the one whose bytes come first stands for all
        code, flip, quarter = min((_code(_turn(mask, *turn)), *turn) for turn in turns)
        key = hashlib.blake2b(code[0] + code[1], digest_size=16).digest()
        kept = self._kept.get(key)
        if kept is None:
            kept = self._compute(_turn(mask, flip, quarter), key)
        else:
            self.served += 1
        back = np.rot90(kept, -quarter, axes=(-2, -1))
        return np.ascontiguousarray(np.flip(back, -1) if flip else back)

    def _compute(self, mask: np.ndarray, key: bytes) -> np.ndarray:
        started = time.perf_counter()
        made = distance_map(mask[None].copy(), self.num_classes)[0].numpy()
        self.seconds += time.perf_counter() - started
        self.computed += 1
        if self._bytes + made.nbytes <= self.max_bytes:
            self._kept[key] = made
            self._bytes += made.nbytes
        return made


class BoundaryLoss(nn.Module):
    """Module form of :func:`boundary_loss`; takes the distance map in the target's place."""

    def forward(self, logits: Tensor, distance: Tensor) -> Tensor:
        """Return :func:`boundary_loss` of logits ``(B, K, H, W)`` and their distance map."""
        return boundary_loss(logits, distance)


class LaplacianBoundaryLoss(nn.Module):
    """Module form of :func:`laplacian_boundary_loss`."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits ``(B, K, H, W)`` and labels ``(B, H, W)``."""
        return laplacian_boundary_loss(logits, target)


def _check_masks(masks: Tensor, num_classes: int) -> None:
    if masks.ndim != 3:
        raise ValueError(f"masks must be (B, H, W), got shape {tuple(masks.shape)}")
    check_labels(masks, num_classes)


def _turn(mask: np.ndarray, flip: bool, quarter: int) -> np.ndarray:
    """Flip left-right, then turn by quarters."""
    return np.rot90(np.flip(mask, -1) if flip else mask, quarter, axes=(-2, -1))


def _code(mask: np.ndarray) -> tuple[bytes, bytes]:
    """Return bytes that only equal masks share."""
    return str(mask.shape).encode(), mask.tobytes()


def _signed_distance(inside: np.ndarray) -> np.ndarray:
    # without any pixel of the other set SciPy's transform returns meaningless distances
    if inside.all() or not inside.any():
        return np.zeros(inside.shape)
    outward = distance_transform_edt(~inside)
    return np.where(inside, 1 - distance_transform_edt(inside), outward)
