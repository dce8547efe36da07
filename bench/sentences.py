"""A small grammar of Korean sentences: who did what with which thing, where and when.

Every word knows what it may become with the same meaning and what with another. All words are this
file's own.
"""

import random
from collections.abc import Callable
from typing import NamedTuple

from core import particles

SURNAMES = "김이박최정강조윤장임한오서신권황안송류홍"
FIRST = "가나다라민서지하은유도채윤소예현수진우태주시"
LAST = "람솔결빛온찬율린아호준연경민영재희원선빈"
TOWNS = "가래 누리 도담 마루 바람 새벽 여울 이슬 참샘 하늘 한솔 구름 달빛 은하 푸름 온새".split()
SITES = "동 역 시장 공원 도서관 초등학교 병원 식당 우체국 서점".split()
LOOKS = "파란 낡은 작은 큰 가벼운 두꺼운 동그란 하얀 긴 새로운 비싼 따뜻한".split()
THINGS = (
    "가방 의자 공책 모자 주전자 화분 담요 연필 그릇 시계 목도리 우산 거울 장갑 필통 베개 접시 "
    "책장 이불 자전거 컵 수건 양말 달력 인형 바구니 액자 등불 국자 돗자리"
).split()
SYNONYMS = ("휴대폰 핸드폰", "사진기 카메라", "편지 서신", "선물 예물", "영화 필름", "음식 먹거리")
ADVERBS = "정말 아주 무척 조금 다시 천천히 일찍 함께 자주 조용히 몰래 급하게 즐겁게 겨우".split()
FILLERS = "음 글쎄 그러니까 있잖아 뭐랄까 사실 그게 저기".split()
COUNTS = "한 두 세 네 다섯 여섯 일곱 여덟 아홉 열".split()
DAYS = tuple(f"{day}요일" for day in "월화수목금토일")
ENDINGS = "어요 습니다 지요 거든요 네요 는데요".split()
VERBS = (  # past and present stem
    "샀 사|팔았 팔|찾았 찾|잃었 잃|빌렸 빌리|고쳤 고치|씻었 씻|숨겼 숨기|바꿨 바꾸|보냈 보내|"
    "받았 받|옮겼 옮기|모았 모으|버렸 버리|그렸 그리|만들었 만들|주문했 주문하|소개했 소개하"
).split("|")


class Word(NamedTuple):
    """One or more tokens; what they may become with the same meaning, and with another."""

    text: str
    tag: str = ""
    same: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


Sentence = tuple[Word, ...]


def _several(draw: Callable[[], str], tag: str, particle: str = "") -> Word:
    """A drawn word and three others of its kind, each with the particle that fits it."""
    drawn = list(dict.fromkeys(draw() for _ in range(9)))
    words = [
        particles.attach(word, particle) if particle in particles.PAIRS else word + particle
        for word in drawn
    ]
    return Word(words[0], tag, (), tuple(words[1:4]))


def sentence(rng: random.Random) -> Sentence:
    """One random sentence: who did or did not do what with which thing, where and when."""

    def person() -> str:
        name = rng.choice(SURNAMES) + rng.choice(FIRST) + rng.choice(LAST)
        return name if rng.random() < 0.7 else name[1:]

    def town() -> str:
        return rng.choice(TOWNS) + rng.choice(SITES)

    def thing() -> str:
        return rng.choice(THINGS)

    def name(draw: Callable[[], str], particle: str) -> Word:
        return _several(draw, "name", particle)

    def number(draw: Callable[[], str]) -> Word:
        return _several(draw, "number")

    when = rng.choice(
        (
            lambda: f"{rng.randint(1, 12)}시 {rng.randint(1, 59)}분에",
            lambda: f"{rng.randint(1, 12)}월 {rng.randint(1, 28)}일에",
            lambda: f"{rng.choice(DAYS)}에",
            lambda: f"{rng.choice(COUNTS)} 시간 동안",
            lambda: f"{rng.randint(1, 12)}:{rng.randint(10, 59)}부터",
        )
    )
    amount = rng.choice(
        (
            lambda: f"{rng.choice(COUNTS)} 개를",
            lambda: f"{rng.randint(2, 99)}개를",
            lambda: f"{rng.randint(2, 99)}만 원에",
            lambda: f"{rng.randint(1, 30)},500원에",
        )
    )
    adverb = rng.choice(ADVERBS)
    said_so = Word(adverb, "adverb", ("", *rng.sample([a for a in ADVERBS if a != adverb], 3)))
    twins = rng.choice(SYNONYMS).split()
    rng.shuffle(twins)
    a, b = (particles.attach(word, "을") for word in twins)
    past, stem = rng.choice(VERBS).split()
    ending, *endings = rng.sample(ENDINGS, 4)
    verb = Word(
        past + ending,
        "verb",
        tuple(past + e for e in endings),
        (f"안 {past}{ending}", f"못 {past}{ending}", f"{stem}지 않았{ending}"),
    )
    if rng.random() < 0.3:
        denial = rng.choice(verb.other)
        verb = Word(denial, "verb", (), (verb.text,))
    look = Word(rng.choice(LOOKS))
    shapes = (
        lambda: (
            name(person, "은"),
            number(when),
            name(town, "에서"),
            look,
            name(thing, "을"),
            said_so,
            verb,
        ),
        lambda: (number(when), name(person, "이"), Word(a, "synonym", (b,)), said_so, verb),
        lambda: (name(town, "까지"), said_so, Word("걸어가서"), look, name(thing, "을"), verb),
        lambda: (look, name(thing, "을"), number(amount), verb),
        lambda: (
            name(person, "에게"),
            Word("줄"),
            look,
            name(thing, "을"),
            name(town, "에서"),
            verb,
        ),
        lambda: (Word("어머니가"), said_so, Word("부탁하셔서"), Word(a, "synonym", (b,)), verb),
        lambda: (
            name(town, "으로"),
            Word("이사한"),
            name(person, "과"),
            Word("만나서"),
            look,
            name(thing, "을"),
            said_so,
            verb,
        ),
    )
    return rng.choice(shapes)()
