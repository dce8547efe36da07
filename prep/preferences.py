"""Preferences for ORPO: the right option with its letter before one wrong option with its letter.

The wrong one is the option that a model finds the most probable of the wrong ones, where its
predictions of the training questions are at hand, else drawn by the question's source and id. A
question gives as many rows as it has orders, all with the same wrong option. Axolotl trains them
with `rl: orpo` and `type: chat_template.argilla`. TRL masks the prompt in the odds ratio alone: the
likelihood term learns the complete chosen conversation.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from core.errors import UserError
from core.option_orders import arranged
from core.records import Prediction, Preference, Question, draw
from prep.render import Renderer


def preferences(
    questions: Sequence[Question],
    renderer: Renderer,
    predictions: Iterable[Prediction] | None = None,
) -> list[Preference]:
    """Preference rows of questions with answers, in the renderer's orders.

    Raises `UserError` where predictions are given, but not for every question.
    """
    if predictions is None:
        wrong = [drawn(question, renderer.seed) for question in questions]
    else:
        found = mean_logprobs(predictions)
        wrong = [likeliest(question, found) for question in questions]
    by_question = {(q.source, q.id): i for q, i in zip(questions, wrong, strict=True)}
    return [
        renderer.preference(question, order, row_id, by_question[question.source, question.id])
        for question, order, row_id in arranged(questions, renderer.orders, renderer.seed)
    ]


def drawn(question: Question, seed: int) -> int:
    """The published index of a wrong option, drawn by seed, source and id."""
    wrong = [i for i in range(len(question.options)) if i != question.answer]
    return wrong[draw(seed, "wrong", question.source, question.id) % len(wrong)]


def likeliest(question: Question, logprobs: dict[str, list[float]]) -> int:
    """The published index of the most probable wrong option; of equal ones the first."""
    found = logprobs.get(question.id)
    if found is None or len(found) != len(question.options):
        raise UserError(
            f"question {question.id}: the predictions hold no log-probabilities of its "
            f"{len(question.options)} options; score the training questions with eval/score.py, "
            "or leave the predictions out"
        )
    wrong = (i for i in range(len(question.options)) if i != question.answer)
    return max(wrong, key=lambda i: found[i])


def mean_logprobs(predictions: Iterable[Prediction]) -> dict[str, list[float]]:
    """By record id, the mean log-probability of each published option over its predictions."""
    scored: dict[str, list[list[float]]] = defaultdict(list)
    for prediction in predictions:
        if prediction.logprobs is None:
            raise UserError(
                f"prediction {prediction.id}: holds no log-probabilities; score the training "
                "questions with --method letter"
            )
        scored[prediction.id].append(prediction.logprobs)
    for name, rows in scored.items():
        if len({len(row) for row in rows}) > 1:
            raise UserError(
                f"prediction {name}: other numbers of options in other lines; correct it"
            )
    return {
        name: [sum(values) / len(rows) for values in zip(*rows, strict=True)]
        for name, rows in scored.items()
    }
