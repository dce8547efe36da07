"""What each member does to the hard vote: the vote with all of them, and without each one."""

from collections.abc import Iterable

import numpy as np

from ensemble.agreement import ABSTAINED
from ensemble.bounds import count_votes, lead
from ensemble.panel import Panel
from ensemble.rules import winner


def elect(panel: Panel, members: Iterable[int], items: Iterable[int]) -> np.ndarray:
    """What the members elect by the hard vote, (items,); `ABSTAINED` where none of them answers."""
    members, elected = list(members), []
    for item in items:
        ballots = [panel.ballots[item][member] for member in members]
        cast = [ballot for ballot in ballots if ballot.choice is not None]
        elected.append(winner(cast) if cast else ABSTAINED)
    return np.array(elected, dtype=int)


def vote_without_each(panel: Panel, elected: np.ndarray) -> np.ndarray:
    """What the others elect without each member, (members, items); `elected` is what all do.

    One ballot less cannot change what leads by two votes or more, so only the close items are
    voted on again.
    """
    everyone = range(len(panel.names))
    close = np.flatnonzero(lead(count_votes(panel.choices, panel.options)) < 2)
    found = np.tile(elected, (len(everyone), 1))
    for left_out in everyone:
        others = [member for member in everyone if member != left_out]
        found[left_out, close] = elect(panel, others, close)
    return found
