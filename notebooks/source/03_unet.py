# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 U-Net: what must a rival beat?

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
data = "phantoms"  # str phantoms|nuclei-mini|nuclei|busi|...: which images
seed = 0  # int 0..1000000: seeds the weights and the order of the cases
device = "auto"  # str auto|cpu|cuda|mps: where the net is trained
out_dir = ""  # str: folder of results.json; empty: runs/notebooks

# %% tags=["setup"]
from dataclasses import replace

from course_lib import figures, metrics, models, records, training
from course_lib.data import prepared
from course_lib.teaching import check

run = records.start(
    "03_unet", dict(profile=profile, data=data, seed=seed, device=device, out_dir=out_dir)
)
images = prepared.open(data).resized(64)
parts = images.split()
run.uses(images)

# %% tags=["exercise", "ex-03-1"]
def unet_parameters(base, in_channels, num_classes, depth=4):
    """Count the trainable numbers of a U-Net: (64, 3, 1) gives 31,031,745."""
    ### BEGIN SOLUTION
    total, channels = 0, in_channels
    widths = [base * 2**level for level in range(depth + 1)]
    for width in widths:
        total += 9 * channels * width + width + 9 * width * width + width
        channels = width
    for width in reversed(widths[:-1]):
        total += 4 * 2 * width * width + width
        total += 9 * 2 * width * width + width + 9 * width * width + width
    return total + base * num_classes + num_classes
    ### END SOLUTION


# %% tags=["check", "ex-03-1"]
unet_parameters = check("03-1", unet_parameters)

# %%
net = models.create(
    "unet", in_channels=images.images.shape[1], num_classes=1, base=run.pick(smoke=4, fast=16, full=64), norm=True
)
protocol = replace(training.PROTOCOLS["course"], epochs=run.pick(smoke=1, fast=6, full=60), seed=seed)
history = training.fit(
    net, images.subset(parts["train"]), images.subset(parts["val"]), protocol, run.out_dir / "training", device=run.device
)
table = training.evaluate(net, images.subset(parts["test"]), device=run.device)

# %% tags=["result"]
summary = metrics.summarise(table, level="image")
records.record("params", models.measure.count_parameters(net))
row = summary.set_index("metric").loc["dice"]
records.record("dice_mean", row["mean"], n=int(row["n"]), interval=(row["low"], row["high"]))
records.finish()
