"""HTML elements of a report; images are embedded, so that a report is one file."""

from __future__ import annotations

import base64
import html
import io
import pathlib

import numpy as np
from PIL import Image

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2em auto }
table { border-collapse: collapse } td, th { padding: .3em .9em; border-bottom: 1px solid #ddd }
td:not(:first-child), th:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 1em 0 } img { max-width: 100% } figcaption { color: #666; font-size: 85% }
"""


def render_page(title: str, sections: dict[str, str]) -> str:
  """Renders a page from sections whose bodies are HTML."""
  body = "".join(f"<h2>{html.escape(name)}</h2>{content}" for name, content in sections.items())
  return (
    f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
    f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>"
  )


def render_table(header: list, rows: list[list]) -> str:
  """Renders a table; every cell is escaped."""
  head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
  body = "".join(f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
  return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def embed_figure(picture, caption: str, path: pathlib.Path | None = None) -> str:
  """Renders a figure with the picture embedded as base64.

  Args:
    picture: a matplotlib figure (closed afterwards), RGB uint8 `[H, W, 3]`, or the bytes of a PNG.
    caption: the text below it.
    path: if given, the picture is also written to this file.
  """
  png = _encode_png(picture)
  if path:
    path.write_bytes(png)
  data = base64.b64encode(png).decode()
  text = html.escape(caption)
  return (
    f'<figure><img src="data:image/png;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>'
  )


def _encode_png(picture) -> bytes:
  if isinstance(picture, bytes):
    return picture
  buffer = io.BytesIO()
  if isinstance(picture, np.ndarray):
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
  picture.savefig(buffer, dpi=100, format="png")
  return buffer.getvalue()
