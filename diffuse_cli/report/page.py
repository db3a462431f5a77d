"""From a document to one HTML file.

The page contains its document as JSON, and its script inserts every part of it as text, so that no name can be read as
markup. The content security policy allows one script and one style sheet, by their hashes, and nothing else: no other
script and no request can start.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from diffuse_cli import files
from diffuse_cli.errors import DiffuseError
from diffuse_cli.files import finite
from diffuse_cli.plots.formats import check_page_path

LIMIT = 2_000_000  # bytes of a page
SCRIPTS = ("data.js", "theme.js", "paint.js", "axes.js", "panels.js", "player.js", "chart.js", "words.js", "main.js")
_STATIC = Path(__file__).parent / "static"
_HARMLESS = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}


def render(document: dict[str, Any]) -> bytes:
    """The page of a document: a tree of dict, list, str, numbers, bool and None. Equal documents give equal bytes.

    Raises DiffuseError for a page of more than LIMIT bytes.
    """
    style = _read("page.css")
    script = '"use strict";\n' + "\n".join(_read(name) for name in SCRIPTS)
    parts = {
        "policy": f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:",
        "style": style,
        "document": json_text(document),
        "script": script,
    }
    before, *rest = _read("page.html").split("{{")
    page = before + "".join(parts[name] + after for name, _, after in (piece.partition("}}") for piece in rest))
    content = page.encode()
    if len(content) > LIMIT:
        raise DiffuseError(
            f"the page would have {len(content) / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f}; give a lower -n"
        )
    return content


def write_page(path: Path, document: dict[str, Any]) -> Path:
    """Write the page of a document, complete or not at all, and return the path.

    Raises UsageError for an ending other than .html, DiffuseError where the folder is missing or cannot be written to,
    and for a page of more than LIMIT bytes.
    """
    path = check_page_path(path)
    files.write_file(path, render(document))
    return path


def json_text(document: dict[str, Any]) -> str:
    """A document as JSON in ASCII without characters that have a meaning in HTML. NaN and infinity become null."""
    text = json.dumps(finite(document), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.translate(_HARMLESS)


def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
