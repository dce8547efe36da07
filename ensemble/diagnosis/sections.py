"""A diagnosis in tables, the same for terminal and page; options count from 1."""

from functools import partial

from core.bilingual import Both
from ensemble.diagnosis import drawings
from ensemble.diagnosis.diagnosis import Diagnosis
from ensemble.diagnosis.diagnosis_sentences import interval, points, scores
from ensemble.diagnosis.section import Section, of_items, pairs_of
from eval.metrics.significance import LEVEL, Difference, p_value_text

LADDER = {
    "all": Both("all members right", "모든 멤버가 정답"),
    "majority": Both("more than half right", "과반이 정답"),
    "plurality": Both("right has most votes", "정답이 최다 득표"),
    "vote": Both("hard vote", "하드 투표"),
    "tie": Both("right has most votes, or ties", "정답이 최다 득표이거나 동률"),
    "any": Both("any member right (oracle)", "한 멤버라도 정답(오라클)"),
}
VERDICTS = {
    "helps": Both("helps", "도움"),
    "may help": Both("may help", "도움일 수 있음"),
    "only noise": Both("only noise", "잡음뿐"),
    "harms": Both("harms", "해침"),
}
ENDS, ITEMS = Both("95 % interval", "95 % 구간"), Both("items", "문항")
WON, LOST = Both("won", "얻음"), Both("lost", "잃음")


def sections(found: Diagnosis) -> list[Section]:
    """All subjects in the order of the page."""
    return [
        _members(found),
        _gain(found),
        _bounds(found),
        _left_out(found),
        Section(
            "answers",
            Both("Answers alike", "답의 일치"),
            Both(
                "Agreement of every two members, and kappa, which takes off what chance would give "
                "them; of the items that both answered. Tints: 0 to 1, orange below 0.",
                "두 멤버의 일치율과, 우연의 몫을 뺀 카파. 둘 다 답한 문항에서 셈. "
                "색: 0~1, 0보다 작으면 주황.",
            ),
            *pairs_of(found, ["agreement", "kappa"]),
            names=4,
            picture=drawings.answers_alike,
        ),
        Section(
            "errors",
            Both("Errors alike", "오답의 일치"),
            Both(
                "Double fault: the share of items that two members both have wrong; tints from 0 "
                "to the most that any member has wrong. Disagreement: that exactly one has right. "
                "Q: 0 where errors are independent, 1 where they coincide; tints to 1, orange "
                "below 0.",
                "둘 다 틀림: 두 멤버가 함께 틀린 문항의 비율이며, 색은 0부터 멤버 오답률의 "
                "최댓값까지. 하나만 정답: 꼭 한 멤버만 맞힌 비율. Q: 오답이 독립이면 0, 겹치면 "
                "1이며, 색은 1까지, 0보다 작으면 주황.",
            ),
            *pairs_of(found, ["double_fault", "disagreement", "q"]),
            names=4,
            picture=drawings.errors_alike,
        ),
        _together(found),
        _categories(found),
        of_items(
            "won",
            Both("Won by the vote", "투표가 얻은 문항"),
            Both(
                "Right in the vote, wrong in the best member.",
                "투표는 맞히고 최고 멤버는 틀린 문항.",
            ),
            found.gained,
        ),
        of_items(
            "lost",
            Both("Lost by the vote", "투표가 잃은 문항"),
            Both(
                "Wrong in the vote, right in the best member.",
                "투표는 틀리고 최고 멤버는 맞힌 문항.",
            ),
            found.lost,
        ),
        of_items(
            "hardest",
            Both("Hardest items", "가장 어려운 문항"),
            Both(
                "Those that fewest members have right first. Where nearly all choose one and the "
                "same wrong option, look whether the published answer is right.",
                "맞힌 멤버가 적은 것부터. 거의 모두가 같은 오답을 골랐다면 공개된 정답이 맞는지 "
                "확인할 것.",
            ),
            found.hardest,
        ),
    ]


def _members(found: Diagnosis) -> Section:
    return Section(
        "members",
        Both("Members", "멤버"),
        Both(
            "Accuracy with its 95 % Wilson interval; the dashed line is the vote's. In the order "
            "in which the files were named; the numbers stand for the members in the maps below.",
            "정확도와 Wilson 95 % 구간, 점선은 투표의 정확도. 파일을 적은 순서이며, 번호는 아래 "
            "지도에서 멤버를 가리킴.",
        ),
        [
            Both("member", "멤버"),
            Both("right", "맞힌 수"),
            Both("accuracy", "정확도"),
            ENDS,
            Both("no answer", "무응답"),
        ],
        [
            [f"{place} {m.name}", *scores(m.score), f"{len(m.abstained):,}"]
            for place, m in enumerate(found.members, start=1)
        ]
        + [[LADDER["vote"], *scores(found.score), ""]],
        draw=drawings.accuracies,
    )


def _gain(found: Diagnosis) -> Section:
    members = sorted(found.members, key=lambda member: -member.score.accuracy)
    return Section(
        "gain",
        Both("Gain over each member", "각 멤버에 대한 이득"),
        Both(
            "The vote's accuracy less the member's, with its 95 % interval over dialogues, which "
            f"holds for all members at once and leaves 0 out where p is at most {LEVEL}; items "
            "that only the vote or only the member has right. The line drawn is 0.",
            "투표의 정확도에서 멤버의 정확도를 뺀 값과 대화 단위 95 % 구간. 구간은 모든 멤버에 "
            f"동시에 성립하며, p가 {LEVEL} 이하이면 0을 벗어남. 투표만, 또는 멤버만 맞힌 문항. "
            "세로줄은 0.",
        ),
        [Both("over", "멤버"), Both("gain", "이득"), ENDS, WON, LOST, "p"],
        [
            [
                *(m.name, points(m.gain.value), interval(m.gain)),
                *(f"{m.won:,}", f"{m.lost:,}", _p(m.gain)),
            ]
            for m in members
        ],
        draw=partial(drawings.gains, members=members),
    )


def _bounds(found: Diagnosis) -> Section:
    return Section(
        "bounds",
        Both("Bounds", "한계"),
        Both(
            "Ever weaker conditions; the dashed line is the best member. A vote that follows the "
            "most votes ends between the third and the fifth; no choice among the members' answers "
            "passes the last.",
            "아래로 갈수록 약한 조건, 점선은 최고 멤버. 최다 득표를 따르는 투표는 셋째와 다섯째 "
            "사이에 있으며, 멤버의 답 가운데서 고르는 한 마지막을 넘을 수 없음.",
        ),
        [Both("condition", "조건"), ITEMS, Both("share", "비율")],
        [
            [LADDER[name], f"{count:,}", f"{count / len(found.labelled.rows):.1%}"]
            for name, count in found.ladder.items()
        ],
        draw=drawings.bounds,
    )


def _left_out(found: Diagnosis) -> Section:
    members = sorted(found.members, key=lambda member: member.without.value)
    return Section(
        "left-out",
        Both("Without one member", "한 멤버를 뺀 투표"),
        Both(
            "How the vote's accuracy changes without each member, with its 95 % interval over "
            "dialogues, which holds for all members at once. The member helps, or may help, where "
            "the vote is lower without it; else it adds only noise, or harms. It helps or harms "
            "where the interval leaves 0 out. The line drawn is 0.",
            "각 멤버를 뺐을 때 투표 정확도의 변화와 대화 단위 95 % 구간. 구간은 모든 멤버에 동시에 "
            "성립함. 빼면 투표가 낮아지는 멤버는 도움이거나 도움일 수 있고, 아니면 잡음뿐이거나 "
            "해침. 구간이 0을 벗어나야 도움 또는 해침임. 세로줄은 0.",
        ),
        [Both("without", "뺀 멤버"), Both("change", "변화"), ENDS, Both("the member", "판정")],
        [
            [m.name, points(m.without.value), interval(m.without), VERDICTS[m.verdict]]
            for m in members
        ],
        draw=partial(drawings.left_out, members=members),
    )


def _together(found: Diagnosis) -> Section:
    pairs = zip(found.wrong, found.wrong_if_independent, strict=True)
    return Section(
        "together",
        Both("Wrong together", "함께 틀림"),
        Both(
            "On how many items so many members are wrong; the dashed line is on how many they "
            "would be, were their errors independent.",
            "그 수의 멤버가 틀린 문항의 수. 점선은 오답이 독립일 때의 문항 수.",
        ),
        [Both("members wrong", "틀린 멤버"), ITEMS, Both("if independent", "독립이라면")],
        [[f"{k}", f"{count:,}", f"{expected:,.1f}"] for k, (count, expected) in enumerate(pairs)],
        draw=drawings.wrong_together,
    )


def _categories(found: Diagnosis) -> Section:
    best = found.best.name
    return Section(
        "categories",
        Both("Flips by category", "유형별 뒤바뀜"),
        Both(
            f"Items that the vote has right and the best member, {best}, wrong (won, drawn to the "
            "right), and the other way round (lost, to the left).",
            f"투표는 맞히고 최고 멤버 {best}만 틀린 문항(얻음, 오른쪽)과 그 반대(잃음, 왼쪽).",
        ),
        [
            Both("category", "유형"),
            ITEMS,
            Both("vote", "투표"),
            Both("members' mean", "멤버 평균"),
            Both("none right", "모두 틀림"),
            WON,
            LOST,
        ],
        [
            [name, f"{c.n:,}", f"{c.vote / c.n:.1%}", f"{c.members:.1%}"]
            + [f"{count:,}" for count in (c.none, c.gained, c.lost)]
            for name, c in found.categories.items()
        ],
        draw=drawings.flips,
    )


def _p(change: Difference) -> str:
    return "–" if change.p is None else p_value_text(change.p).removeprefix("p ").removeprefix("= ")
