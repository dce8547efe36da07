"""The documents of a body of knowledge: JSONL, text, Markdown, PDF, Wikipedia; and folders of such.

A line of JSONL has a `text`, and an `id` and a `title` where it is given them. A dump of Wikipedia
is one of its search index (CirrusSearch, NAME-content.json.gz), whose articles are plain text. Of
any other file the text is all that it holds, and its id is its path below what was named.
"""

import gzip
import logging
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import as_spelled, decoded, read_bytes
from core.jsonl import loads, read_objects, validated
from core.model_folder import why
from core.records import Strict
from core.text import nfc, writable

DUMP = ".json.gz"  # of Wikipedia
SUFFIXES = (".jsonl", DUMP, ".txt", ".md", ".pdf")
LARGEST = 20_000_000  # bytes of one document: a longer one is no document but a library
HEADING = re.compile(r"^#{1,6}[ \t]+", re.MULTILINE)  # of Markdown


class KnowledgeDocument(Strict):
    """One text of the body of knowledge."""

    id: str
    title: str = ""
    text: str


def files(named: list[str]) -> dict[str, Path]:
    """The files of a body of knowledge by name: those named, and all in a folder that is named.

    Raises `UserError` where one is not there, holds none, has no name in UTF-8, or two have one.
    """
    found: dict[str, Path] = {}
    for name in named:
        path = as_spelled(Path(name))
        if not path.exists():
            raise UserError(f"{name}: no such file or folder; correct `documents`")
        everything = sorted(path.rglob("*"))
        if linked := [one for one in everything if one.is_dir() and one.is_symlink()]:
            raise UserError(
                f"{linked[0]}: is a link to a folder, which is not followed; take it out, and name "
                "that folder under `documents`"
            )
        below = [p for p in everything if p.name.lower().endswith(SUFFIXES) and not p.is_dir()]
        if path.is_dir() and not below:
            raise UserError(f"{name}: holds no {', '.join(SUFFIXES)}; name another folder")
        if path.is_file() and not path.name.lower().endswith(SUFFIXES):
            raise UserError(
                f"{name}: is none of {', '.join(SUFFIXES)}; convert it, or leave it out"
            )
        for one in below if path.is_dir() else [path]:
            title = nfc(str(one.relative_to(path if path.is_dir() else path.parent)))
            if title in found:
                raise UserError(f"{one}: {found[title]} has the same name; rename one of them")
            if not one.is_file():
                raise UserError(f"{one}: is a link to no file; correct it, or take it out")
            writable(title, f"the name {title!a}")
            found[title] = one
    return found


def read(named: dict[str, Path]) -> Iterator[KnowledgeDocument]:
    """All documents of the files, in the order of their names.

    One without any text comes with an empty text. Raises `UserError` that names the file, the
    record and the remedy where one cannot be read, is too large, or has the id of another.
    """
    seen: dict[str, str] = {}
    for name, path in sorted(named.items()):
        for document in _documents(name, path):
            if document.id in seen:
                raise UserError(
                    f"{path}: id {document.id} is that of a document of {seen[document.id]} too; "
                    "give each its own"
                )
            seen[document.id] = str(path)
            yield document


def _documents(name: str, path: Path) -> Iterator[KnowledgeDocument]:
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        for number, value in read_objects(path):
            yield _record(value, f"{name}#{number}", f"{path}, line {number}")
        return
    if path.name.lower().endswith(DUMP):
        yield from _articles(path)
        return
    _require_small(path.stat().st_size, str(path))
    text = _pdf(path) if suffix == ".pdf" else decoded(read_bytes(path), path)
    text = HEADING.sub("", text) if suffix == ".md" else text
    yield KnowledgeDocument(id=name, title=path.stem, text=nfc(text))


def _record(value: dict[str, Any], name: str, where: str) -> KnowledgeDocument:
    """A line of JSONL as a document; whatever else it holds is left out."""
    kept = {key: value[key] for key in ("id", "title", "text") if value.get(key) is not None}
    if isinstance(kept.get("id"), int):
        kept["id"] = str(kept["id"])
    one = validated({"id": name, **writable(kept, where)}, KnowledgeDocument, where)
    _require_small(len(one.text.encode()), where)
    return KnowledgeDocument(id=nfc(one.id), title=nfc(one.title), text=nfc(one.text))


def _articles(path: Path) -> Iterator[KnowledgeDocument]:
    """The articles of a dump of Wikipedia's search index: a line that says which, and the article.

    Redirects have no line of their own; pages of other namespaces are left out.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            page = ""
            for number, line in enumerate(lines, start=1):
                where = f"{path}, line {number}"
                value = loads(line)
                if "index" in value:
                    page = str(value["index"]["_id"])
                elif value.get("namespace") == 0:
                    kept = {"id": f"wiki-{page}", "title": value["title"], "text": value["text"]}
                    yield _record(kept, page, where)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path}: is no dump of Wikipedia's search index, or cut off; download "
            "WIKI-DATE-cirrussearch-content.json.gz again"
        ) from None


def _require_small(size: int, where: str) -> None:
    if size > LARGEST:
        raise UserError(
            f"{where}: a document of {size / 1e6:.0f} MB, and one may have {LARGEST / 1e6:.0f}; "
            "cut it into its chapters, or make each of its articles a line of JSONL"
        )


def _pdf(path: Path) -> str:
    """The text of a PDF, its pages one after another."""
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of what it corrects
    try:
        reader = PdfReader(path)
        if reader.is_encrypted:
            raise UserError(f"{path}: is encrypted; save it without a password")
        text = "\n\n".join(page.extract_text() for page in reader.pages)
    except UserError:
        raise
    except Exception as error:  # pypdf raises what it likes of a file that is damaged
        raise UserError(f"{path}: cannot be read as PDF ({why(error)}); save it again") from None
    # it takes halves of a pair of surrogates for characters
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not nfc(text):
        raise UserError(
            f"{path}: holds no text, as of scanned pages; recognise it (OCR), or leave it out"
        )
    return text
