"""Korean texts from a small grammar, and copies of them whose kind is known.

Every word of a sentence knows what it may become with the same meaning and what with another, so
that edited copies (near-duplicates) and changed ones (hard negatives) are labelled by how they were
made. All words are this file's own; the same seed gives the same texts.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from prep import josa

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
LENGTHS = (50, 120, 300, 600, 1500)  # characters, the classes of the curve
EDITS = ("space", "marks", "word1", "word2", "word3", "sentence")
CHANGES = ("number", "name", "polarity", "entities")


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
        josa.attach(word, particle) if particle in josa.PAIRS else word + particle for word in drawn
    ]
    return Word(words[0], tag, (), tuple(words[1:4]))


def sentence(rng: random.Random) -> Sentence:
    """One random sentence: who did or did not do what with which thing, where and when."""

    def person() -> str:
        whole = rng.choice(SURNAMES) + rng.choice(FIRST) + rng.choice(LAST)
        return whole if rng.random() < 0.7 else whole[1:]

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
    a, b = (josa.attach(word, "을") for word in twins)
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


class Maker:
    """Draws documents from a pool of sentences, and edits them."""

    def __init__(self, seed: int, pool: int = 20_000) -> None:
        self.rng = random.Random(seed)
        self.pool = [sentence(self.rng) for _ in range(pool)]

    def document(self, length: int) -> list[Sentence]:
        """Random sentences of about `length` characters together."""
        chosen: list[Sentence] = []
        total = 0
        while total < length:
            chosen.append(self.rng.choice(self.pool))
            total += sum(len(word.text) + 1 for word in chosen[-1]) + 1
        return chosen

    def copy(self, document: Sequence[Sentence], kind: str) -> str:
        """A copy of a document: "exact", one of `EDITS` or one of `CHANGES`."""
        if kind == "exact":
            return plain(document)
        if kind == "space":
            return self._spaces(plain(document))
        if kind == "marks":
            return self._marks(plain(document))
        if kind == "sentence":
            at = self.rng.randint(0, len(document))
            return plain([*document[:at], self.rng.choice(self.pool), *document[at:]])
        if kind == "entities":
            tags = ("number", "name")
            return plain(
                [tuple(self._swap(w) if w.tag in tags else w for w in s) for s in document]
            )
        if kind in CHANGES:
            return self._change(document, "verb" if kind == "polarity" else kind)
        return self._edit(document, int(kind.removeprefix("word")))

    def _swap(self, word: Word) -> Word:
        return word._replace(text=self.rng.choice(word.other))

    def _change(self, document: Sequence[Sentence], tag: str) -> str:
        """One word with another meaning; "" where no word of the kind is there."""
        places = [
            (i, k)
            for i, s in enumerate(document)
            for k, w in enumerate(s)
            if w.tag == tag and w.other
        ]
        if not places:
            return ""
        i, k = self.rng.choice(places)
        return _with(document, i, k, self._swap(document[i][k]).text)

    def _edit(self, document: Sequence[Sentence], words: int) -> str:
        """Up to `words` words put otherwise: another wording, a filler or a typing error."""
        edited = [list(s) for s in document]
        for _ in range(words):
            i = self.rng.randrange(len(edited))
            k = self.rng.randrange(len(edited[i]))
            word = edited[i][k]
            if word.same:
                edited[i][k] = word._replace(text=self.rng.choice(word.same), same=())
            elif word.tag or self.rng.random() < 0.5:
                edited[i].insert(k, Word(self.rng.choice(FILLERS), "filler"))
            else:
                at = self.rng.randrange(len(word.text))
                wrong = chr(
                    (ord(word.text[at]) - 0xAC00) // 28 * 28 + 0xAC00 + self.rng.randint(0, 27)
                )
                edited[i][k] = word._replace(text=word.text[:at] + wrong + word.text[at + 1 :])
        return plain(edited)

    def _spaces(self, text: str) -> str:
        odds = ((" ", 0.8), ("", 0.1), ("  ", 0.1))
        choose = [space for space, weight in odds for _ in range(int(weight * 10))]
        return "".join(self.rng.choice(choose) if c == " " else c for c in text)

    def _marks(self, text: str) -> str:
        return "".join(self.rng.choice((".", "!", "...", "", "~")) if c == "." else c for c in text)


def plain(document: Sequence[Sequence[Word]]) -> str:
    """The text as people read it."""
    return " ".join(" ".join(w.text for w in s if w.text) + "." for s in document)


def _with(document: Sequence[Sentence], i: int, k: int, text: str) -> str:
    edited = [list(s) for s in document]
    edited[i][k] = edited[i][k]._replace(text=text)
    return plain(edited)


class Pair(NamedTuple):
    """Two texts, how the second was made of the first, and about how long they are."""

    left: str
    right: str
    kind: str
    length: int

    @property
    def duplicate(self) -> bool:
        """Whether the two are to count as one."""
        return self.kind in ("exact", *EDITS)


def labelled(seed: int, each: int) -> list[Pair]:
    """`each` pairs of every kind and length class; "entities" keeps the wording."""
    maker = Maker(seed)
    pairs = []
    for length in LENGTHS:
        for kind in ("exact", *EDITS, *CHANGES):
            wanted = len(pairs) + each
            while len(pairs) < wanted:
                document = maker.document(length)
                if copied := maker.copy(document, kind):
                    pairs.append(Pair(plain(document), copied, kind, length))
    return pairs


class Record(NamedTuple):
    """A text of a collection; those that are to count as one have the same `truth`."""

    text: str
    truth: int
    kind: str


def collection(count: int, seed: int) -> list[Record]:
    """Records of about 600 characters (log-normal), 15 % of them copies and 5 % hard negatives.

    Copies are exact, in whitespace or marks, in 1 to 3 words, and with a sentence more, a quarter
    each; hard negatives change one number, name or negation, or all numbers and names.
    """
    maker = Maker(seed)
    rng = random.Random(f"{seed}/collection")
    kinds = (("exact",), ("space", "marks"), ("word1", "word2", "word3"), ("sentence",))
    bases: list[list[Sentence]] = []
    changed: dict[str, int] = {}  # the same change may be drawn twice
    records: list[Record] = []
    for number in range(count):
        drawn = rng.random() if bases else 1.0
        copied = ""
        if drawn < 0.2:
            kind = rng.choice(rng.choice(kinds)) if drawn < 0.15 else rng.choice(CHANGES)
            base = rng.randrange(len(bases))
            copied = maker.copy(bases[base], kind)
        if copied:
            truth = base if drawn < 0.15 else changed.setdefault(copied, count + number)
            records.append(Record(copied, truth, kind))
        else:
            bases.append(maker.document(min(4000, max(60, int(rng.lognormvariate(6.24, 0.6))))))
            records.append(Record(plain(bases[-1]), len(bases) - 1, "base"))
    rng.shuffle(records)
    return records
