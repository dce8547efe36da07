"""The project in a browser: ask models, look through data, results and runs.

Run as: python app/main.py
"""

import argparse
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from app.project import open_project
from core.errors import UserError, entry

EPILOG = """\
examples:
  python app/main.py
  python app/main.py --root ~/korean --port 8080 --allow /models

Nothing is written and nothing leaves this machine, but a hub model's download and what is asked of
a server that you name. docs/app.md says more."""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and serve the pages until interrupted."""
    args = _arguments(argv)
    project = open_project(args.root, args.allow)
    listening = listen(args.host, args.port)
    os.chdir(project.folders[0])  # paths of recipes, rows and predictions start there
    from app import website  # seconds to import, and only wanted now

    print(f"http://{args.host}:{listening.getsockname()[1]}", flush=True)
    website.serve(project, listening, args.host)


def listen(host: str, port: int) -> socket.socket:
    """A socket on a port of this machine; raises `UserError` where it is taken or cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        taken = socket.socket(family)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"{host}:{port}: cannot be listened on ({why}); name another --port"
        ) from None
    return taken


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--root", type=Path, default=Path(), help="the project's folder (the one you stand in)")
    add("--port", type=int, default=7860, help="default: %(default)s; 0 takes a free one")
    add("--host", default="127.0.0.1", help="%(default)s: this machine alone")
    add(
        "--allow",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="folders outside the project that may be read too, as of models",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    entry(main)
