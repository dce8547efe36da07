"""How many tokens rows have by a recipe's tokenizer and chat template, and which have too many.

Run as: python prep/lengths.py --rows data/cci/stage2.jsonl --recipe recipes/stage2.yml

A row's ids are those of its complete conversation through the chat template, as training has them.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from core.errors import UserError, entry
from core.jsonl import read_objects, validated
from core.records import Preference, Row
from core.yaml_io import read_mapping

# keys by which Axolotl alters a tokenizer in ways that are not repeated here
ALTERING = ("added_tokens_overrides", "special_tokens", "tokenizer_type", "tokens")
MANY = 5000  # rows whose count of tokens is worth a progress bar
PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}


@dataclass(frozen=True)
class Ruler:
    """A recipe's tokenizer, with its chat template, and the most tokens a row of it may have."""

    tokenizer: Any
    limit: int

    def length(self, row: Row | Preference) -> int:
        """Tokens of a row; of a preference, those of its longer conversation.

        Raises `UserError` where the chat template refuses the row.
        """
        system = [] if isinstance(row, Row) or row.system is None else [("system", row.system)]
        talks = [row.messages] if isinstance(row, Row) else [row.chosen, row.rejected]
        try:
            return max(
                len(
                    self.tokenizer.apply_chat_template(
                        [
                            {"role": role, "content": content}
                            for role, content in [*system, *((m.role, m.content) for m in talk)]
                        ],
                        return_dict=False,
                    )
                )
                for talk in talks
            )
        except Exception as error:  # a template raises what it likes
            raise UserError(
                f"row {row.id}: the chat template refuses it ({error}); see `system` in params.yaml"
            ) from None

    def fits(self, row: Row | Preference) -> bool:
        """Whether a row has no more tokens than the recipe's sequence_len."""
        return self.length(row) <= self.limit


def ruler(recipe: Path, tokenizer: str | None = None) -> Ruler:
    """The tokenizer, chat template and sequence_len of a recipe.

    `tokenizer` names another model or folder to take the tokenizer from: that of the base, while
    the recipe's own has not been made. Raises `UserError` where one of the three cannot be had.
    """
    # slow to import, and only needed here
    from axolotl.utils.chat_templates import get_chat_template_from_config
    from transformers import AutoTokenizer

    keys = read_mapping(recipe)
    if not isinstance(keys.get("sequence_len"), int):
        raise UserError(f"{recipe}: no recipe with a sequence_len; name one of recipes/")
    if altered := [key for key in ALTERING if keys.get(key)]:
        raise UserError(
            f"{recipe}: {', '.join(altered)} alters the tokenizer, so that lengths would not be "
            "those of training; save the altered tokenizer and give it by tokenizer_config"
        )
    name = tokenizer or keys.get("tokenizer_config") or keys.get("base_model") or ""
    revision = None if tokenizer else keys.get("revision_of_model")
    try:
        loaded = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
        loaded.chat_template = get_chat_template_from_config(keys, tokenizer=loaded)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{recipe}: the tokenizer of {name} cannot be loaded "
            f"({str(error).partition(chr(10))[0]}); make or download the model, or name another "
            "with its tokenizer (`tokenizer` in the run, --tokenizer on the command line)"
        ) from None
    return Ruler(loaded, keys["sequence_len"])


@dataclass(frozen=True)
class LengthStatistics:
    """Tokens a row, of one source: how many rows, how long, how many over the limit."""

    source: str
    rows: int
    min: int
    p50: int
    p95: int
    p99: int
    max: int
    over: int

    def figures(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def report(rows: Sequence[Row | Preference], by: Ruler) -> list[LengthStatistics]:
    """The lengths of each source's rows, by name, and of all. A percentile is a row's length."""
    measured: dict[str, list[int]] = {}
    for row in track(rows, "tokens", console=Console(stderr=True), disable=len(rows) < MANY):
        measured.setdefault(row.source, []).append(by.length(row))
    parts = sorted(measured.items())
    everything = [length for _, lengths in parts for length in lengths]
    return [_lengths(name, lengths, by.limit) for name, lengths in [*parts, ("all", everything)]]


def _lengths(source: str, lengths: list[int], limit: int) -> LengthStatistics:
    percentiles = {
        name: int(np.percentile(lengths, percent, method="inverted_cdf"))
        for name, percent in PERCENTILES.items()
    }
    over = sum(length > limit for length in lengths)
    ends = {"min": min(lengths), "max": max(lengths), "over": over}
    return LengthStatistics(source=source, rows=len(lengths), **percentiles, **ends)


def read(path: Path) -> list[Row | Preference]:
    """The rows or preferences of a file; raises `UserError` naming line and field."""
    rows = [
        validated(value, Preference if "chosen" in value else Row, f"{path}, line {number}")
        for number, value in read_objects(path)
    ]
    if not rows:
        raise UserError(f"{path}: no rows; run python prep/build.py again")
    return rows


def table(parts: dict[str, list[LengthStatistics]], limit: int) -> Table:
    """The figures, one line a source of each file."""
    grid = Table(title=f"tokens a row; sequence_len {limit}")
    grid.add_column("file")
    for field in fields(LengthStatistics):
        grid.add_column(field.name, justify="left" if field.name == "source" else "right")
    for file, lines in parts.items():
        for line in lines:
            style = "red" if line.over else None
            grid.add_row(file, *map(str, line.figures().values()), style=style)
    return grid


def main() -> int:
    """Print the report; exit code 1 where a row is too long for the recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python prep/lengths.py --rows data/demo/*.jsonl "
        "--recipe recipes/tiny/stage1.yml --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=Path, nargs="+", required=True, help="files of rows")
    parser.add_argument("--recipe", type=Path, required=True, help="the recipe that trains on them")
    parser.add_argument("--tokenizer", help="a model or folder whose tokenizer the base will have")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args()

    rows = {str(path): read(path) for path in args.rows}
    by = ruler(args.recipe, args.tokenizer)
    parts = {name: report(some, by) for name, some in rows.items()}
    if args.json:
        files = {name: [line.figures() for line in lines] for name, lines in parts.items()}
        print(json.dumps({"sequence_len": by.limit, "files": files}, ensure_ascii=False, indent=2))
    else:
        Console().print(table(parts, by.limit))
    return int(any(lines[-1].over for lines in parts.values()))


if __name__ == "__main__":
    entry(main)
