"""The command `course predict`."""

from __future__ import annotations

from pathlib import Path

import click

from course_lib.cli.errors import one_line_errors, short

FILE = click.Path(path_type=Path)


@click.command()
@click.option("--weights", type=FILE, required=True, help="best.safetensors, or an .onnx file.")
@click.argument("images", nargs=-1, required=True, type=FILE, metavar="IMAGE...")
@click.option("--out", type=FILE, required=True, help="Folder for the masks.")
@click.option("--threshold", type=float, help="Between 0 and 1; by default what the weights say.")
@click.option("--slice", "slice_number", type=int, help="Slice of a volume, from 0.")
@one_line_errors
def predict(weights, images, out, threshold, slice_number) -> None:
    """Segment images (PNG, TIFF, JPEG, NPY, NIfTI, DICOM): mask, overlay and a JSON with areas.

    For teaching and research; not a medical device.
    """
    from course_lib import predict as predictor

    reports = predictor.to_folder(
        weights, images, out, threshold=threshold, slice_number=slice_number
    )
    for report in reports:
        for name, found in report["found"].items():
            click.echo(f"{report['image']}: {name} {_words(found)}")
    click.echo(f"Masks, overlays and numbers: {short(out)}")


def _words(found: dict) -> str:
    if not found["area_px"]:
        return "not found"
    area = f"{found['area_px']:,} px"
    if found["area_mm2"] is not None:
        area += f" ({found['area_mm2']:,.1f} mm2)"
    return f"{area}, mean probability {found['mean_probability']:.2f}"
