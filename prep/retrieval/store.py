"""An index in a folder of its own: made once, named by a hash of what it was made of and by what.

The folder's index.json says all that, and the hash of each of its files.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import atomic_dir, locked, sha256
from core.jsonl import read_json, write_json

RECORD = "index.json"


def stored(
    indexes: Path, made_of: dict[str, Any], make: Callable[[Path, str], dict[str, Any]]
) -> tuple[Path, dict[str, Any]]:
    """The folder of an index below `indexes`, and its counts; it is made where it is not there.

    `make` writes the files into a folder, given the index's name, and returns the counts. Raises
    `UserError` where another run is making it, and where what lies there is not the index that its
    name says.
    """
    name = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
    folder = indexes / name
    if not folder.exists():
        busy = f"{folder}: another run is making this index; wait until it is done, then go on"
        with locked(indexes / f".{name}.lock", busy):
            if not folder.exists():
                _make(folder, made_of, make)
    counts, wrong = _checked(folder, made_of)
    if wrong:
        raise UserError(
            f"{folder}: is not the index of these documents and versions (differs in "
            f"{', '.join(wrong)}); move it away, and the next run builds it again"
        )
    return folder, counts


def _make(
    folder: Path, made_of: dict[str, Any], make: Callable[[Path, str], dict[str, Any]]
) -> None:
    with atomic_dir(folder, RECORD) as part:
        counts = make(part, folder.name)
        hashes = {path.name: sha256(path) for path in sorted(part.iterdir())}
        record = {"name": folder.name, **made_of, "counts": counts, "sha256": hashes}
        write_json(part / RECORD, record)


def _checked(folder: Path, made_of: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The counts of an index, and what of it is not as it was made."""
    try:
        record = read_json(folder / RECORD)
    except UserError:
        return {}, [RECORD]
    if not isinstance(record, dict) or not all(
        isinstance(record.get(key), dict) for key in ("counts", "sha256")
    ):
        return {}, [RECORD]
    expected = {"name": folder.name, **made_of}
    wrong = [key for key, value in expected.items() if record.get(key) != value]
    wrong += [
        file
        for file, digest in record["sha256"].items()
        if not (folder / file).is_file() or sha256(folder / file) != digest
    ]
    return record["counts"], wrong
