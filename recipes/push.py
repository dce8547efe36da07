"""Give a model or a build's rows to others: what would be uploaded, and, asked to, the upload.

Run as: python recipes/push.py outputs/demo-seed1/model OWNER/NAME
        python recipes/push.py data/demo OWNER/NAME --upload

Without --upload nothing leaves this machine. The token is HF_TOKEN, from the environment alone, and
HF_ENDPOINT names another hub. A repository that is made new is private.

Refused are: a model without a card or with that of other weights, a base whose licence does not let
changed copies be passed on or that nobody has read, and rows of such a source. Weights that were
trained on a corpus that is handed out on request leave only with --agreed. Files that are not
listed stay here, whatever else lies in the folder.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx
from huggingface_hub import CommitOperationAdd, HfApi, RepoCard, constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.files import read_text, sha256
from core.jsonl import read_json
from core.layout import BUILT
from prep.sources.licences import terms_of
from recipes.model_card import card_of, weights_of

LISTED = (
    *("*.safetensors", "model.safetensors.index.json", "config.json", "generation_config.json"),
    *("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja"),
)


@dataclass(frozen=True)
class Parcel:
    """What is to be uploaded: files by their name in the repository, and notes."""

    kind: str  # the hub's: model or dataset
    files: dict[str, Path]
    notes: list[str]


def model_parcel(model: Path, agreed: bool) -> Parcel:
    """A model with its card; raises `UserError` where it may not or should not be passed on."""
    path = card_of(model)
    if not path.is_file():
        raise UserError(
            f"{model}: has no card ({path}); write it by python recipes/model_card.py RECIPE"
        )
    about = _head(path).get("maerak")
    if not isinstance(about, dict) or not {"base", "data", "weights"} <= about.keys():
        raise UserError(f"{path}: not written by recipes/model_card.py; write it by that")
    if about["weights"] != weights_of(model):
        raise UserError(f"{path}: the card of other weights than {model} has; write it again")
    _require_changeable(about["base"]["name"], about["base"]["licence"])
    notes = []
    for name, licence in about["data"].items():
        terms = terms_of(licence)
        if terms and terms.on_request and not agreed:
            raise UserError(
                f"{model}: trained on {name}, which is handed out on request alone ({licence}); "
                "ask who handed it out, and give --agreed once they allow it"
            )
        if terms is None:
            notes.append(f"{name}: licence {licence or 'unknown'}, not read for this; look it up")
        elif not terms.changed:
            notes.append(
                f"{name}: licence {licence} lets no changed copy of the texts be passed on"
            )
    found = {path.name: path for path in sorted(model.iterdir()) if _listed(path)}
    return Parcel("model", {"README.md": path, **found}, notes)


def data_parcel(folder: Path) -> Parcel:
    """The rows of a build with their card; raises `UserError` where they may not be passed on."""
    report = read_json(folder / BUILT)
    if not (folder / "README.md").is_file():
        raise UserError(f"{folder}: has no card (README.md); build it by python prep/build.py")
    for name in sorted({title.partition("/")[0] for title in report["inputs"]}):
        licence = report["sources"].get(name, {}).get("licence")
        _require_changeable(name, licence)
    for name, about in report["outputs"].items():
        if sha256(folder / name) != about["sha256"]:
            raise UserError(f"{folder / name}: not what {BUILT} says it is; build it again")
    names = ("README.md", BUILT, *report["outputs"])
    return Parcel("dataset", {name: folder / name for name in names}, [])


def _head(card: Path) -> dict[str, Any]:
    """The YAML at the head of a card."""
    try:
        return RepoCard(read_text(card)).data.to_dict()
    except ValueError as error:
        raise UserError(f"{card}: no card ({error}); write it again") from None


def _require_changeable(name: str, licence: str | None) -> None:
    """Raise `UserError` unless a licence lets changed copies of what is under it be passed on."""
    terms = terms_of(licence)
    if terms is None:
        raise UserError(
            f"{name}: licence {licence or 'unknown'}, and nobody has read whether what is made of "
            "it may be passed on; read it, and add it to prep/sources/licences.py"
        )
    if not terms.changed:
        raise UserError(
            f"{name}: its licence ({licence}) lets nothing that is made of it be passed on; keep it"
        )


def _listed(path: Path) -> bool:
    return path.is_file() and any(fnmatch(path.name, pattern) for pattern in LISTED)


def upload(parcel: Parcel, repo: str, public: bool) -> str:
    """Upload in one commit, into a repository that is made where there is none; its address.

    Raises `UserError` where there is no token, and where the hub cannot be reached or refuses.
    """
    token = os.environ.get("HF_TOKEN")
    if not token:
        raise UserError("HF_TOKEN is not set; put a token that may write into the environment")
    if constants.HF_HUB_OFFLINE:
        raise UserError("HF_HUB_OFFLINE is set; unset it to upload")
    hub = HfApi(constants.ENDPOINT, token)
    operations = [CommitOperationAdd(name, str(path)) for name, path in parcel.files.items()]
    try:
        hub.create_repo(repo, repo_type=parcel.kind, private=not public, exist_ok=True)
        done = hub.create_commit(
            repo, operations, commit_message="Upload by recipes/push.py", repo_type=parcel.kind
        )
    except (httpx.HTTPError, OSError) as error:
        said = " ".join(str(error).replace(token, "HF_TOKEN").split())
        raise UserError(f"{repo}: the hub took nothing ({said[:300]}); try again") from None
    return done.commit_url


def lines(parcel: Parcel) -> Iterator[str]:
    """What would be uploaded, in words."""
    for name, path in parcel.files.items():
        yield f"{path.stat().st_size:>16,}  {name}"
    yield from (f"note: {note}" for note in parcel.notes)


def main() -> None:
    """Show what would be uploaded; upload it where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python recipes/push.py outputs/demo-seed1/model OWNER/NAME",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="a model's folder, or that of a build: data/RUN")
    parser.add_argument("repo", help="OWNER/NAME on the hub")
    parser.add_argument("--upload", action="store_true", help="upload it; else only show it")
    parser.add_argument("--public", action="store_true", help="make a new repository public")
    parser.add_argument(
        "--agreed",
        action="store_true",
        help="who handed out the corpus has agreed that weights trained on it are passed on",
    )
    args = parser.parse_args()
    try:
        validate_repo_id(args.repo)
    except HFValidationError as error:
        raise UserError(f"{args.repo}: no name of a repository ({error}); name one") from None
    if not args.folder.is_dir():
        raise UserError(f"{args.folder}: no such folder; name that of a model or of a build")
    built = (args.folder / BUILT).is_file()
    parcel = data_parcel(args.folder) if built else model_parcel(args.folder, args.agreed)
    print(f"{args.repo} ({parcel.kind}, {'public' if args.public else 'private'} if new):")
    print("\n".join(lines(parcel)))
    if args.upload:
        print(upload(parcel, args.repo, args.public))
    else:
        print("nothing was uploaded; --upload does it")


if __name__ == "__main__":
    entry(main)
