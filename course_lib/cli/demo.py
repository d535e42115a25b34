"""The command `course demo`: a web page that runs nets in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from course_lib.cli.errors import one_line_errors, short


@click.command()
@click.option(
    "--weights",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Weights of a net, .safetensors or .onnx; give it again to compare nets.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@one_line_errors
def demo(weights, out) -> None:
    """Write a web page that runs nets in the browser, for a local server or GitHub Pages."""
    from course_lib import demo as page  # imports PyTorch

    folder = short(page.write(weights, out))
    click.echo(f"Page: {folder}")
    click.echo(f"Look at it: python -m http.server --directory {folder} 8000")
    click.echo("and open http://localhost:8000")
