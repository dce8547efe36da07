"""Mistakes that a user can correct, each reported in one sentence.

Every entry script runs its `main` through `entry`, so that a mistake ends with exit code 2 and one
clear line, while a defect of ours still ends with its full traceback.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """A failure that the user can correct; its text names the file, the record and the remedy."""


def full_disk(error: Exception) -> str | None:
    """The sentence for an error that says a disk is full, or a quota or limit reached; else None.

    Libraries in other languages, such as safetensors, say it in their text alone.
    """
    said = next((os.strerror(code) for code in FULL if os.strerror(code) in str(error)), None)
    if said is None:
        return None
    where = getattr(error, "filename", None) or "the result"
    return f"{where}: cannot be written ({said}); make room, then run the same command again"


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a `UserError` into its sentence on stderr and exit code 2, where there is no `entry`."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None


def entry(main: Callable[[], int | None]) -> None:
    """Run an entry script's main and leave with its exit code.

    Exit codes: 0 done, 2 a `UserError` or a full disk (in words on stderr), 130 interrupted.
    """
    try:
        code = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except Exception as error:
        if (said := full_disk(error)) is None:
            raise
        print(f"error: {said}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        code = 130
    sys.exit(code or 0)
