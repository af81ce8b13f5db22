"""XML as JSON data, by a stated mapping, with every kind of entity declaration refused.

The mapping is the one most people know from `xmltodict`:

* the document is an object with one property, the root element's name;
* an element with neither attributes nor child elements is its text, stripped (a string; the
  schema decides later whether that string means a number: see `typing_by_schema`);
* any other element is an object: a property per child name, attributes as ``@name``, and text
  that is not only blanks as ``#text``;
* children that share a name form an array, in document order;
* comments and processing instructions are dropped; prefixes stay part of the name.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from cascade.verifiers.schema.limits import DocumentError, Limits

__all__ = ["parse_xml"]


class _Tree:
    """Builds the data from expat's calls."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.root: dict[str, Any] = {}
        self.names: list[str] = []
        self.objects: list[dict[str, Any]] = [self.root]
        self.texts: list[list[str]] = [[]]
        self.elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if len(self.names) >= self.limits.max_depth:
            raise DocumentError(f"nested deeper than {self.limits.max_depth} levels")
        self.elements += 1 + len(attributes)
        if self.elements > self.limits.max_nodes:
            raise DocumentError(f"more than {self.limits.max_nodes} elements and attributes")
        self.names.append(name)
        self.objects.append({f"@{key}": value for key, value in attributes.items()})
        self.texts.append([])

    def text(self, data: str) -> None:
        """Character data, possibly in pieces."""
        self.texts[-1].append(data)

    def end(self, name: str) -> None:
        """An element ends: hang it into its parent."""
        self.names.pop()
        content: Any = self.objects.pop()
        text = "".join(self.texts.pop()).strip()
        if not content:
            content = text
        elif text:
            content["#text"] = text
        parent = self.objects[-1]
        if name not in parent:
            parent[name] = content
        elif isinstance(parent[name], list):
            parent[name].append(content)
        else:
            parent[name] = [parent[name], content]


def _refuse_doctype(*_: object) -> None:
    raise DocumentError("a document type declaration is not allowed")


def parse_xml(text: str, limits: Limits) -> dict[str, Any]:
    """Return ``{root name: content}``; every leaf is a string.

    Raises:
        DocumentError: not well-formed, or with a DOCTYPE (and so possibly with entities).
    """
    tree = _Tree(limits)
    parser = expat.ParserCreate(encoding="utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        problem = expat.ErrorString(error.code) or "not XML"
        raise DocumentError(problem, error.lineno, error.offset + 1) from None
    except DocumentError as error:
        line, column = parser.CurrentLineNumber, parser.CurrentColumnNumber + 1
        raise DocumentError(error.problem, line, column) from None
    return tree.root
