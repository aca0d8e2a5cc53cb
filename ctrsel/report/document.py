"""A page as one file: its templates, its style and script, and its own rule for browsers, which admits no request."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

from ctrsel.report.wording import visible

__all__ = ["render"]


def render(template: str, **values: Any) -> str:
    """Return a page; its template is given `style`, `script` and `policy` beside the values.

    Args:
        template: The template's file name in this package.
        values: What it shows; text is escaped.
    """
    style, script = _file("style.css"), _file("page.js")
    page = _environment().get_template(template)
    return page.render(style=Markup(style), script=Markup(script), policy=_policy(style, script), **values)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.PackageLoader("ctrsel.report", "."),
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["lines"] = _lines
    return environment


def _lines(words: str) -> Markup:
    """Escape a text whose line breaks are meant."""
    return Markup("\n").join(escape(visible(line)) for line in words.split("\n"))


def _file(name: str) -> str:
    return resources.files("ctrsel.report").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return the page's own rule for browsers: no request to anywhere, no script and no style but these two.

    Even text that slipped through the escaping could neither run nor fetch anything.
    """
    return f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
