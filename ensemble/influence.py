"""What each member does to the hard vote: the vote with all of them, and without each one."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ensemble.ballots import Ballots
from ensemble.bounds import count_votes, lead
from ensemble.panel import Panel
from ensemble.rules import RULES, Tally


def elect(ballots: Iterable[Ballots], options: NDArray[np.int8]) -> NDArray[np.int8]:
    """What members elect by the hard vote, (items,); -1 where none of them answers."""
    tally = Tally(RULES["hard"], options)
    for member in ballots:
        tally.add(member)
    return tally.decide().choice


def elect_without_each(panel: Panel, elected: NDArray[np.int8]) -> NDArray[np.int8]:
    """What the others elect without each member, (members, items); `elected` is what all do.

    One ballot less cannot change what leads by two votes or more, so only the close items are
    voted on again.
    """
    members = range(len(panel.names))
    found = np.tile(elected, (len(members), 1))
    close = np.flatnonzero(lead(count_votes(panel.choices, panel.options.max())) < 2)
    if close.size:
        parts = [ballots.part(close) for ballots in panel.ballots]
        for member in members:
            others = parts[:member] + parts[member + 1 :]
            found[member, close] = elect(others, panel.options[close])
    return found
