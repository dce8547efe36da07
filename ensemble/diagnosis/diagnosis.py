"""What an ensemble's members add to their hard vote, on rows whose answers are known."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from ensemble.diagnosis import vote_statistics
from ensemble.diagnosis.labelled_answers import LabelledAnswers
from eval.metrics.accuracy import Accuracy
from eval.metrics.significance import DECIMALS, Difference, differences, too_few


@dataclass(frozen=True)
class MemberResult:
    """One member: its own score, the items it abstained on, and how the vote compares."""

    name: str
    score: Accuracy
    abstained: list[str]
    without: Difference  # the vote's accuracy without the member, less that with it
    gain: Difference  # the vote's accuracy less the member's
    won: int  # items that the vote has right and the member wrong
    lost: int

    @property
    def verdict(self) -> str:
        """What the vote loses or wins without it, and whether the two votes differ.

        "helps" and "may help": the vote is worse without it; "only noise" and "harms": it is not.
        In the second and third the difference may be chance.
        """
        if self.without.value < 0:
            return "helps" if self.without.differs else "may help"
        return "harms" if self.without.differs else "only noise"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        without = self.without.as_dict() | {"verdict": self.verdict}
        gain = self.gain.as_dict() | {"won": self.won, "lost": self.lost}
        known = {"abstained": self.abstained, "without": without, "gain": gain}
        return self.score.as_dict() | known


@dataclass(frozen=True)
class CategoryResult:
    """The items of one category: how many, and how many are right or flip."""

    n: int
    vote: int
    members: float  # the members' mean share of right answers
    none: int  # items that no member has right
    gained: int
    lost: int


@dataclass(frozen=True)
class ItemResult:
    """One row and how members voted; options from 0, `vote` and `best` None without an answer."""

    id: str
    category: str
    answer: int
    votes: list[int]
    vote: int | None
    best: int | None


@dataclass(frozen=True)
class Diagnosis:
    """All that is found about the members of a vote."""

    labelled: LabelledAnswers
    members: list[MemberResult]

    @classmethod
    def of(cls, labelled: LabelledAnswers) -> Self:
        """Vote with all members and without each, and compare each with the vote of all."""
        right = labelled.elected == labelled.gold
        without = labelled.elected_without_each == labelled.gold
        table = np.column_stack([right, without.T, labelled.right.T])
        groups = [row.group for row in labelled.rows]
        places = range(1, 1 + len(labelled.names))  # of the votes without each member
        changes = differences(table, groups, [(place, 0) for place in places])
        gains = differences(table, groups, [(0, place + len(places)) for place in places])
        members = [
            MemberResult(
                name,
                Accuracy(int(labelled.right[m].sum()), len(right)),
                [labelled.rows[i].id for i in np.flatnonzero(labelled.choices[m] < 0)],
                changes[m],
                gains[m],
                int((right & ~labelled.right[m]).sum()),
                int((labelled.right[m] & ~right).sum()),
            )
            for m, name in enumerate(labelled.names)
        ]
        return cls(labelled, members)

    @property
    def right(self) -> np.ndarray:
        """Whether the vote is right, (items,)."""
        return self.labelled.elected == self.labelled.gold

    @property
    def score(self) -> Accuracy:
        """The vote's own score."""
        return Accuracy(int(self.right.sum()), len(self.right))

    @property
    def best(self) -> MemberResult:
        """The member with the most right answers; of equals, the one named first."""
        return self.members[_best(self.labelled.right)]

    @property
    def gain(self) -> Difference:
        """The vote's accuracy less the best member's."""
        return self.best.gain

    @property
    def too_few(self) -> str | None:
        """Why the members cannot be judged beyond these items, if so."""
        return too_few([row.group for row in self.labelled.rows])

    @cached_property
    def pairs(self) -> dict[str, np.ndarray]:
        """Every measure of two members by name, (members, members)."""
        choices, right = self.labelled.choices, self.labelled.right
        return {
            "agreement": vote_statistics.agreement(choices),
            "kappa": vote_statistics.kappa(choices),
            "double_fault": vote_statistics.double_fault(right),
            "disagreement": vote_statistics.disagreement(right),
            "q": vote_statistics.q_statistic(right),
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
        return vote_statistics.count_votes(self.labelled.choices, self.labelled.options.max())

    @property
    def ladder(self) -> dict[str, int]:
        """`vote_statistics.ladder` with the hard vote in its place."""
        steps = vote_statistics.ladder(self.votes, self.labelled.gold, len(self.members))
        weak = {name: steps.pop(name) for name in ("tie", "any")}
        return {**steps, "vote": self.score.correct, **weak}

    @property
    def wrong(self) -> np.ndarray:
        """On how many items 0, 1 ... all members are wrong."""
        wrong = (~self.labelled.right).sum(axis=0)
        return np.bincount(wrong, minlength=len(self.members) + 1)

    @property
    def wrong_if_independent(self) -> np.ndarray:
        """On how many items they would be, were the members as accurate but independent."""
        return vote_statistics.wrong_if_independent(self.accuracies) * len(self.labelled.rows)

    @property
    def majority_if_independent(self) -> float:
        """Share of items on which more than half would be right, were the members independent."""
        return vote_statistics.majority_if_independent(self.accuracies)

    @property
    def accuracies(self) -> np.ndarray:
        """The members' accuracies, (members,)."""
        return self.labelled.right.mean(axis=1)

    @property
    def tied(self) -> int:
        """Items on which the most votes tie, so that the rule for ties decides."""
        return int(((vote_statistics.lead(self.votes) == 0) & (self.labelled.elected >= 0)).sum())

    @property
    def gained(self) -> list[ItemResult]:
        """Items that the vote has right and the best member wrong."""
        return self._items(np.flatnonzero(self.right & ~self._best_right))

    @property
    def lost(self) -> list[ItemResult]:
        """Items that the best member has right and the vote wrong."""
        return self._items(np.flatnonzero(~self.right & self._best_right))

    @property
    def hardest(self) -> list[ItemResult]:
        """Items that some member has wrong, those that fewest members have right first."""
        hits = self.labelled.right.sum(axis=0)
        order = np.argsort(hits, kind="stable")
        return self._items(order[hits[order] < len(self.members)])

    @cached_property
    def categories(self) -> dict[str, CategoryResult]:
        """What is found of each category, in order of first appearance."""
        names = np.array([row.category or "-" for row in self.labelled.rows])
        return {name: self._category(names == name) for name in dict.fromkeys(names.tolist())}

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON: shares from 0 to 1, options from 0."""
        return {
            "items": len(self.labelled.rows),
            "groups": len({row.group for row in self.labelled.rows}),
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
        return self.labelled.right[_best(self.labelled.right)]

    def _category(self, chosen: np.ndarray) -> CategoryResult:
        right, best = self.right[chosen], self._best_right[chosen]
        members = self.labelled.right[:, chosen]
        return CategoryResult(
            n=int(chosen.sum()),
            vote=int(right.sum()),
            members=float(members.mean()),
            none=int((~members.any(axis=0)).sum()),
            gained=int((right & ~best).sum()),
            lost=int((best & ~right).sum()),
        )

    def _items(self, places: np.ndarray) -> list[ItemResult]:
        best = self.labelled.choices[_best(self.labelled.right)]
        return [
            ItemResult(
                id=self.labelled.rows[i].id,
                category=self.labelled.rows[i].category or "-",
                answer=int(self.labelled.gold[i]),
                votes=self.votes[i, : self.labelled.options[i]].tolist(),
                vote=_known(self.labelled.elected[i]),
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
