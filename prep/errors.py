"""What a user can mend, said in one sentence.

Every entry script runs its `main` through `entry`, so that a mistake ends with exit code 2 and one
clear line, while a defect of ours still ends with its full traceback.
"""

import sys
from collections.abc import Callable


class UserError(Exception):
    """A failure the user can mend; its text names the file, the record and the remedy."""


def entry(main: Callable[[], int | None]) -> None:
    """Run an entry script's main and leave with its exit code.

    Exit codes: 0 done, 2 a `UserError` (its text on stderr), 130 interrupted.
    """
    try:
        code = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        code = 130
    sys.exit(code or 0)
