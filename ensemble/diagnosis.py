"""What an ensemble's members add to their hard vote, on rows whose answers are known."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from ensemble import agreement, bounds
from ensemble.findings import Category, Item, Member
from ensemble.panel import Panel
from eval.accuracy import Tally
from eval.significance import DECIMALS, Difference, differences, too_few


@dataclass(frozen=True)
class Diagnosis:
    """All that is found of a panel."""

    panel: Panel
    members: list[Member]

    @classmethod
    def of(cls, panel: Panel) -> Self:
        """Vote with all members and without each, and compare each with the whole vote."""
        right = panel.elected == panel.gold
        without = panel.elected_without_each == panel.gold
        table = np.column_stack([right, without.T, panel.right.T])
        groups = [row.group for row in panel.rows]
        places = range(1, 1 + len(panel.names))  # of the votes without each member
        changes = differences(table, groups, [(place, 0) for place in places])
        gains = differences(table, groups, [(0, place + len(places)) for place in places])
        members = [
            Member(
                name,
                Tally(int(panel.right[m].sum()), len(right)),
                [panel.rows[i].id for i in np.flatnonzero(panel.choices[m] < 0)],
                changes[m],
                gains[m],
                int((right & ~panel.right[m]).sum()),
                int((panel.right[m] & ~right).sum()),
            )
            for m, name in enumerate(panel.names)
        ]
        return cls(panel, members)

    @property
    def right(self) -> np.ndarray:
        """Whether the vote is right, (items,)."""
        return self.panel.elected == self.panel.gold

    @property
    def score(self) -> Tally:
        """The vote's own score."""
        return Tally(int(self.right.sum()), len(self.right))

    @property
    def best(self) -> Member:
        """The member with the most right answers; of equals, the one named first."""
        return self.members[_best(self.panel.right)]

    @property
    def gain(self) -> Difference:
        """The vote's accuracy less the best member's."""
        return self.best.gain

    @property
    def too_few(self) -> str | None:
        """Why the members cannot be judged beyond these items, if so."""
        return too_few([row.group for row in self.panel.rows])

    @cached_property
    def pairs(self) -> dict[str, np.ndarray]:
        """Every measure of two members by name, (members, members)."""
        choices, right = self.panel.choices, self.panel.right
        return {
            "agreement": agreement.agreement(choices),
            "kappa": agreement.kappa(choices),
            "double_fault": agreement.double_fault(right),
            "disagreement": agreement.disagreement(right),
            "q": agreement.q_statistic(right),
        }

    @property
    def double_faults(self) -> tuple[float, float]:
        """Mean share of items that two members have wrong, and what it would be, independent."""
        pairs = np.triu_indices(len(self.members), k=1)
        errors = 1 - self.accuracies
        return self.pairs["double_fault"][pairs].mean(), np.outer(errors, errors)[pairs].mean()

    @cached_property
    def votes(self) -> np.ndarray:
        """Votes by item and option."""
        return bounds.count_votes(self.panel.choices, self.panel.options.max())

    @property
    def ladder(self) -> dict[str, int]:
        """`bounds.ladder` with the hard vote in its place."""
        steps = bounds.ladder(self.votes, self.panel.gold, len(self.members))
        weak = {name: steps.pop(name) for name in ("tie", "any")}
        return {**steps, "vote": self.score.correct, **weak}

    @property
    def wrong(self) -> np.ndarray:
        """On how many items 0, 1 ... all members are wrong."""
        wrong = (~self.panel.right).sum(axis=0)
        return np.bincount(wrong, minlength=len(self.members) + 1)

    @property
    def wrong_if_independent(self) -> np.ndarray:
        """On how many items they would be, were the members as accurate but independent."""
        return bounds.wrong_if_independent(self.accuracies) * len(self.panel.rows)

    @property
    def majority_if_independent(self) -> float:
        """Share of items on which more than half would be right, were the members independent."""
        return bounds.majority_if_independent(self.accuracies)

    @property
    def accuracies(self) -> np.ndarray:
        """The members' accuracies, (members,)."""
        return self.panel.right.mean(axis=1)

    @property
    def tied(self) -> int:
        """Items on which the most votes tie, so that the rule for ties decides."""
        return int(((bounds.lead(self.votes) == 0) & (self.panel.elected >= 0)).sum())

    @property
    def gained(self) -> list[Item]:
        """Items that the vote has right and the best member wrong."""
        return self._items(np.flatnonzero(self.right & ~self._best_right))

    @property
    def lost(self) -> list[Item]:
        """Items that the best member has right and the vote wrong."""
        return self._items(np.flatnonzero(~self.right & self._best_right))

    @property
    def hardest(self) -> list[Item]:
        """Items that some member has wrong, those that fewest members have right first."""
        hits = self.panel.right.sum(axis=0)
        order = np.argsort(hits, kind="stable")
        return self._items(order[hits[order] < len(self.members)])

    @cached_property
    def categories(self) -> dict[str, Category]:
        """What is found of each category, in order of first appearance."""
        names = np.array([row.category or "-" for row in self.panel.rows])
        return {name: self._category(names == name) for name in dict.fromkeys(names.tolist())}

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON: shares from 0 to 1, options from 0."""
        return {
            "items": len(self.panel.rows),
            "groups": len({row.group for row in self.panel.rows}),
            "too_few": self.too_few,
            "vote": self.score.as_dict() | {"tied": self.tied},
            "members": {member.name: member.as_dict() for member in self.members},
            "best": self.best.name,
            "gain": self.gain.as_dict(),
            "ladder": self.ladder,
            "majority_if_independent": round(self.majority_if_independent, DECIMALS),
            "wrong_members": self.wrong.tolist(),
            "categories": {
                name: vars(found) | {"members": round(found.members, DECIMALS)}
                for name, found in self.categories.items()
            },
            "pairs": {name: _table(values) for name, values in self.pairs.items()},
            "gained": [vars(item) for item in self.gained],
            "lost": [vars(item) for item in self.lost],
            "hardest": [vars(item) for item in self.hardest],
        }

    @property
    def _best_right(self) -> np.ndarray:
        return self.panel.right[_best(self.panel.right)]

    def _category(self, chosen: np.ndarray) -> Category:
        right, best = self.right[chosen], self._best_right[chosen]
        members = self.panel.right[:, chosen]
        return Category(
            n=int(chosen.sum()),
            vote=int(right.sum()),
            members=float(members.mean()),
            none=int((~members.any(axis=0)).sum()),
            gained=int((right & ~best).sum()),
            lost=int((best & ~right).sum()),
        )

    def _items(self, places: np.ndarray) -> list[Item]:
        best = self.panel.choices[_best(self.panel.right)]
        return [
            Item(
                id=self.panel.rows[i].id,
                category=self.panel.rows[i].category or "-",
                answer=int(self.panel.gold[i]),
                votes=self.votes[i, : self.panel.options[i]].tolist(),
                vote=_known(self.panel.elected[i]),
                best=_known(best[i]),
            )
            for i in places
        ]


def _best(right: np.ndarray) -> int:
    """The member with the most right answers; of equals, the one named first."""
    return int(right.sum(axis=1).argmax())


def _known(choice: np.integer) -> int | None:
    return None if choice < 0 else int(choice)


def _table(values: np.ndarray) -> list[list[float | None]]:
    """A table for JSON, which knows no NaN."""
    return [
        [None if np.isnan(value) else round(float(value), DECIMALS) for value in line]
        for line in values
    ]
