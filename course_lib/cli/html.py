"""The parts that all pages of the command line are made of (figures.md section 5)."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from pathlib import Path

STYLE = Path(__file__).with_name("report.css")
MISSING, MINUS = "\u2013", "\u2212"
SIGNS = {
    "passed": ("✓", "passed", "ok"),
    "failed": ("✕", "failed", "bad"),
    "over budget": ("!", "over budget", "warn"),
    "running": ("…", "running", "warn"),
    "waiting": (MISSING, "not yet run", "meta"),
}
escape = html.escape


def page(title: str, meta: Iterable[str], body: Iterable[str], refresh: int | None = None) -> str:
    """Return a self-contained page; with ``refresh`` it reloads itself every so many seconds."""
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{again}',
        f'<title>{escape(title)}</title><link rel="icon" href="data:,">',
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head><body>",
        f'<header><h1>{escape(title)}</h1><p class="meta">{join(meta)}</p></header><main>',
        *body,
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part)


def join(words: Iterable[str]) -> str:
    """Return words on one line with dots between them."""
    return " · ".join(escape(word) for word in words if word)


def status(name: str) -> str:
    """Return a sign, which screen readers leave out, and a word, both in the status' colour."""
    sign, word, kind = SIGNS[name]
    return f'<span class="{kind}"><span aria-hidden="true">{sign}</span> {word}</span>'


def table(
    columns: dict[str, str], rows: Iterable[Iterable[str]], count: str = "", label: str = ""
) -> str:
    """Return a table that scrolls by itself where the screen is narrow.

    Args:
        columns: heading to class: ``n`` for numbers, ``opt`` where it may be left out, or empty.
        rows: cells as HTML; the first one names the row.
        count: paragraph before the table, which also names it; or
        label: its name where there is no such paragraph.
    """
    head = "".join(f'<th scope="col"{_class(kind)}>{name}</th>' for name, kind in columns.items())
    kinds = list(columns.values())
    body = ""
    for first, *cells in rows:
        body += f'<tr><th scope="row">{first}</th>'
        body += "".join(f"<td{_class(k)}>{c}</td>" for k, c in zip(kinds[1:], cells, strict=True))
        body += "</tr>"
    name = f'aria-label="{escape(label or count)}"'
    before = f"<p>{escape(count)}</p>" if count else ""
    return (
        f'{before}<div class="scroll" role="region" tabindex="0" {name}><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def figure(png: bytes | str, alt: str) -> str:
    """Return a picture inside the page; ``png`` as bytes or in base64."""
    data = png if isinstance(png, str) else base64.b64encode(png).decode()
    return (
        f'<figure tabindex="0"><img alt="{escape(alt)}" loading="lazy" '
        f'src="data:image/png;base64,{data}"></figure>'
    )


def number(value) -> str:
    """Return a recorded value as a reader wants it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    whole = isinstance(value, int) and not isinstance(value, bool)
    return "undefined" if value is None else escape(f"{value:,}" if whole else str(value))


def interval(bounds) -> str:
    """Return ``[low, high]``, or nothing where there is no interval."""
    return "" if bounds is None else f"[{number(bounds[0])}, {number(bounds[1])}]"


def exported(notebook) -> str:
    """Return an executed notebook as a page of its own."""
    from nbconvert import HTMLExporter

    # The classic template keeps alt texts. Of what it fetches only MathJax is of use: the pages
    # are read without it too, with formulas as text.
    fetched = {"require_js_url": "", "jquery_url": "", "mermaid_js_url": ""}
    return HTMLExporter(template_name="classic", **fetched).from_notebook_node(notebook)[0]
