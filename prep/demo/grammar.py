"""Words and sentences of the synthetic dialogues: two speakers, one thing each, five categories.

In every dialogue each speaker says something about one thing of the same kind. An option pairs a
speaker with a thing, so that four options are possible and three of them are shown: whoever sees
the options alone has no hint, and whoever sees the reference utterance finds the right one.
A plain `|` marks the border between a word and its particle while a sentence is being built;
only the tokenizer's training sees it.
"""

from dataclasses import dataclass
from itertools import combinations

from core import particles

BORDER = "|"


@dataclass(frozen=True)
class Kind:
    """What one category talks about: its things, what is said of them, and what follows.

    `said` and `follows` are templates over {x}, {x을}, {x이} ... (the thing with its particle) and,
    for options, {s} (the speaker with the topic particle).
    """

    things: tuple[str, ...]
    said: tuple[str, ...]
    follows: tuple[str, ...]


# The target register: polite, the style of the scored questions.
TARGET: dict[str, Kind] = {
    "원인": Kind(
        tuple("감기 폭우 야근 두통 늦잠 정전 몸살 출장 태풍 파업 복통 폭설 치통 회식".split()),
        ("{x} 때문에 모임에 못 갔어요.", "{x} 때문에 약속을 미뤘어요.", "{x} 탓에 늦었어요."),
        ("{s} {x} 때문에 계획을 바꿨다.", "{s} {x} 탓에 일이 꼬였다."),
    ),
    "후행사건": Kind(
        tuple(
            "노트북 카메라 운동화 자전거 냉장고 세탁기 책상 침대 모니터 시계 배낭 소파 "
            "청소기 외투".split()
        ),
        ("주말에 {x을} 사려고 해요.", "내일 {x을} 고르러 가요.", "{x을} 사려고 돈을 모았어요."),
        ("{s} {x을} 구매할 것이다.", "{s} 곧 {x을} 갖게 된다."),
    ),
    "전제": Kind(
        tuple(
            "고양이 강아지 햄스터 앵무새 거북이 토끼 금붕어 병아리 고슴도치 도마뱀 오리 염소 "
            "다람쥐 비둘기".split()
        ),
        ("우리 집 {x이} 밥을 안 먹어요.", "오늘 {x} 간식을 샀어요.", "{x} 병원에 다녀왔어요."),
        ("{s} {x을} 키운다.", "{s} {x와} 함께 산다."),
    ),
    "동기": Kind(
        tuple(
            "영어 중국어 코딩 피아노 기타 요가 수영 그림 바둑 요리 사진 발레 서예 태권도".split()
        ),
        ("{x} 학원에 등록했어요.", "요즘 {x을} 배우고 있어요.", "{x} 수업을 들어요."),
        ("{s} {x을} 잘하고 싶다.", "{s} {x} 실력을 원한다."),
    ),
    "반응": Kind(
        tuple(
            "영화 드라마 뮤지컬 콘서트 전시회 연극 축구 야구 마술 음악회 축제 경주 발표회 "
            "농구".split()
        ),
        ("{x} 표를 구했어요.", "드디어 {x} 보러 가요.", "{x} 초대를 받았어요."),
        ("{s} {x} 생각에 설렌다.", "{s} {x} 일로 들떠 있다."),
    ),
}

# The broad register: casual, other things, other wording; what the first stage sees.
BROAD: dict[str, Kind] = {
    "원인": Kind(
        tuple("소음 지각 장마 숙제 배탈 시험 고장 멀미 이사 훈련".split()),
        ("{x} 때문에 다 망쳤어.", "{x} 땜에 못 쉬었어."),
        ("{s} {x으로} 힘들었다.", "{s} {x} 때문에 지쳤다."),
    ),
    "후행사건": Kind(
        tuple("우산 가방 화분 장갑 거울 텐트 안경 이불 의자 지갑".split()),
        ("이따 {x} 살 거야.", "{x} 하나 주문하려고."),
        ("{s} {x을} 살 것이다.", "{s} 새 {x을} 쓰게 된다."),
    ),
    "전제": Kind(
        tuple("송아지 망아지 참새 잉어 사슴 까치 타조 여우 늑대 펭귄".split()),
        ("우리 {x} 오늘 아파.", "{x} 밥 줘야 해."),
        ("{s} {x을} 돌본다.", "{s} {x} 주인이다."),
    ),
    "동기": Kind(
        tuple("유도 장구 자수 체스 조각 스키 한자 작곡 펜싱 무용".split()),
        ("나 {x} 시작했어.", "{x} 연습하러 가."),
        ("{s} {x을} 좋아한다.", "{s} {x에} 관심이 있다."),
    ),
    "반응": Kind(
        tuple("불꽃놀이 서커스 박람회 낭독회 운동회 시상식 바자회 개막식 졸업식 퍼레이드".split()),
        ("나 {x} 간다.", "{x} 자리 얻었어."),
        ("{s} {x} 덕에 신난다.", "{s} {x을} 기다린다."),
    ),
}

REPLIES = {
    "target": ("정말요?", "그랬군요.", "아, 그래요?", "그렇군요."),
    "broad": ("진짜?", "그랬구나.", "아, 그래?", "그렇구나."),
}
OPENERS = {
    "target": (("오랜만이에요.", "네, 반가워요."), ("잘 지냈어요?", "네, 잘 지냈어요.")),
    "broad": (("오랜만이야.", "응, 반가워."), ("잘 지냈어?", "응, 잘 지냈어.")),
}
KINDS = {"target": TARGET, "broad": BROAD}


def particle(word: str, form: str) -> str:
    """`word`, the border and the particle that fits it, as in particle("감기", "을")."""
    return word + BORDER + particles.particle(word, form)


def fill(template: str, thing: str, speaker: int | None = None) -> str:
    """A sentence about a thing (and a speaker), with borders before the particles."""
    names = {"x": thing, "x에": f"{thing}{BORDER}에"}
    names |= {f"x{form}": particle(thing, form) for form in ("을", "이", "와", "으로")}
    if speaker:
        names["s"] = particle(f"화자{speaker}", "은")
    for name, text in names.items():
        template = template.replace("{" + name + "}", text)
    return template


def split_of(pair: frozenset[str]) -> str:
    """The split that owns a pair of things: a fifth test, a tenth dev, the others train.

    Pairs of one kind are dealt by the sum of their places in its list, so that every thing
    occurs in every split while no pair of things does.
    """
    for kind in TARGET.values():
        if pair <= set(kind.things):
            total = sum(kind.things.index(thing) for thing in pair)
            return "test" if total % 5 == 0 else "dev" if total % 10 == 1 else "train"
    return "train"


def pairs(kind: Kind, split: str) -> list[tuple[str, str]]:
    """All unordered pairs of a kind's things that belong to a split, in a fixed order."""
    return [p for p in combinations(kind.things, 2) if split_of(frozenset(p)) == split]


def plain(text: str) -> str:
    """The text as people read it, without borders."""
    return text.replace(BORDER, "")
