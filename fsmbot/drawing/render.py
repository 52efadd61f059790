"""A picture in one of its four forms; Graphviz, through the package pygraphviz, draws SVG and PNG."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from fsmbot.drawing.diagram import dot, mermaid
from fsmbot.drawing.picture import Picture
from fsmbot.errors import DrawingError, MissingExtra, first_line

Form = Literal["mermaid", "dot", "svg", "png"]

DOTS_PER_INCH = "144"
"""Of a PNG; twice that of most screens, so that text stays crisp."""

_FORMS: dict[str, Form] = {
    ".svg": "svg",
    ".png": "png",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".md": "mermaid",
}


def form_of(path: Path | None) -> Form:
    """Return the form that a file's name asks for, Mermaid without a file; raises DrawingError."""
    if path is None:
        return "mermaid"
    if path.suffix.lower() not in _FORMS:
        known = ", ".join(_FORMS)
        raise DrawingError(f"{path}: a picture's name ends in one of {known}; or say what it is by --format")
    return _FORMS[path.suffix.lower()]


def drawn(picture: Picture, form: Form) -> bytes:
    """Return a picture as the content of a file."""
    if form == "mermaid":
        return mermaid(picture).encode()
    return dot(picture).encode() if form == "dot" else draw(dot(picture), form)


def draw(dot_text: str, form: Literal["svg", "png"]) -> bytes:
    """Return the picture that DOT text describes; the same text gives the same bytes.

    Raises MissingExtra without pygraphviz, and DrawingError for text that is no DOT.
    """
    try:
        from pygraphviz import AGraph
    except ImportError:
        raise MissingExtra("pygraphviz", "graph", "drawing flows as pictures") from None
    with _kept_from_the_screen() as said:
        try:
            graph = AGraph(string=dot_text)
            if form == "png":
                graph.graph_attr["dpi"] = DOTS_PER_INCH
            content: bytes = graph.draw(format=form, prog="dot")
        except Exception as error:  # the binding raises what it likes, a TypeError too
            raise DrawingError(f"Graphviz cannot draw this: {_reason(said, error)}") from error
    return _without_comments(content) if form == "svg" else content


def _without_comments(svg: bytes) -> bytes:
    """Take out the comments, which name Graphviz's version, and the reference to a DTD elsewhere."""
    return re.sub(rb"<!--.*?-->\n?|<!DOCTYPE[^>]*>\n", b"", svg, flags=re.DOTALL)


@contextmanager
def _kept_from_the_screen() -> Iterator[BinaryIO]:
    """Lead what C code writes to file descriptor 2, such as advice about fonts, into a file."""
    screen = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(screen, 2)
            os.close(screen)


def _reason(said: BinaryIO, error: Exception) -> str:
    """Return Graphviz's own words where it gave any, as the binding's say less."""
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").splitlines()
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return errors[0] if errors else first_line(error)
