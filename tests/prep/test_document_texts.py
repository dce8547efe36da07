"""The texts of documents that a teacher writes questions from."""

from core.records import Removed
from prep.retrieval.documents import KnowledgeDocument
from prep.teachers.document_questions import Text, texts
from tests.support.questions import exam


def test_no_question_is_written_from_a_scored_one_that_is_cut_in_two() -> None:
    scored = exam(
        id="t-1",
        question="자격루를 만든 사람을 고르면 누구인가?",
        options=["장영실이라는 과학자", "이순신이라는 장군", "허준이라는 의원"],
    )
    asked = [scored.question or "", *(f"{option}." for option in scored.options)]
    filler = "강물은 산을 돌아 들을 지나 바다로 흐르고 바람은 그 위를 스쳐 간다."

    def parted(count: int) -> tuple[list[Text], list[Removed]]:
        document = " ".join([*[filler] * count, *asked, *[filler] * 60])
        return texts([KnowledgeDocument(id="d", text=document)], [scored], None)

    for count in range(24, 34):  # the question moves over the end of the first text
        left, removed = parted(count)
        assert {one.near for one in removed} == {"t-1"}
        assert len(removed) in (1, 2)
        assert not any(asked[0] in one.text for one in left)
    assert {len(parted(count)[1]) for count in range(24, 34)} == {1, 2}
    assert texts([KnowledgeDocument(id="d", text=filler)], [scored], None)[1] == []
