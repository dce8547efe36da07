"""Tokenised rows are learnt from the answer's letter to what ends the answer."""

import pytest

from core.errors import UserError
from recipes.plugins.tokenization import compare, render
from tests.support.tiny_models import TEMPLATE, save_tokenizer
from tests.support.training_rows import chat_row, training_row, write_rows

TURN_END = TEMPLATE.replace("eos_token", "'<turn_end>\n'")


def made(tmp_path, template, rows, special=(), **options):
    """Rendered rows, and the ids of each."""
    tokenizer = save_tokenizer(tmp_path, template, special)
    write_rows(tmp_path / "rows.jsonl", rows)
    rendered = render([tmp_path / "rows.jsonl"], tokenizer, 2048, **options)
    return rendered, [
        tokenizer.apply_chat_template(row["messages"], return_dict=False) for row in rows
    ]


def labelled(ids, start, stop):
    return {
        "input_ids": [ids],
        "labels": [[-100] * start + ids[start:stop] + [-100] * (len(ids) - stop)],
    }


@pytest.mark.parametrize(
    ("template", "special", "blank"),
    [(TEMPLATE, (), 0), (TURN_END, ("<turn_end>",), 1)],
)
def test_an_answer_is_learnt_to_the_token_that_ends_it(tmp_path, template, special, blank):
    rendered, [ids] = made(tmp_path, template, [training_row(0)], special)
    (start,) = rendered.starts.values()
    end = len(ids) - blank
    compare(rendered, labelled(ids, start, end))
    compare(rendered, labelled(ids, start, len(ids) - blank))
    for stop in (end - 1, start + 1):
        with pytest.raises(UserError, match="does not learn an answer to its end"):
            compare(rendered, labelled(ids, start, stop))
    if blank:  # white space alone after the last word would be learnt too late to stop
        with pytest.raises(UserError, match="does not learn an answer to its end"):
            compare(rendered, labelled(ids, start, len(ids)))


def test_a_gap_in_an_answer_is_refused(tmp_path):
    rendered, [ids] = made(tmp_path, TEMPLATE, [training_row(0)])
    (start,) = rendered.starts.values()
    rows = labelled(ids, start, len(ids))
    rows["labels"][0][start + 2] = -100
    with pytest.raises(UserError, match="does not learn an answer to its end"):
        compare(rendered, rows)


def test_a_conversation_without_options_is_learnt_to_its_end_too(tmp_path):
    rendered, [ids] = made(tmp_path, TEMPLATE, [chat_row(0)])
    compare(rendered, labelled(ids, len(ids) - 3, len(ids)))
    with pytest.raises(UserError, match="'<eos>' follows"):
        compare(rendered, labelled(ids, len(ids) - 3, len(ids) - 1))
    with pytest.raises(UserError, match="unlike its chat template, or learns"):
        compare(rendered, labelled(ids, len(ids), len(ids)))


def test_a_template_that_ends_an_answer_with_nothing_is_refused(tmp_path):
    rendered, [ids] = made(tmp_path, TEMPLATE.replace(" + eos_token", ""), [training_row(0)])
    (start,) = rendered.starts.values()
    with pytest.raises(UserError, match="and '' follows"):
        compare(rendered, labelled(ids, start, len(ids)))


def test_a_plain_token_ends_an_answer_where_the_recipe_says_so(tmp_path):
    template = TEMPLATE.replace("eos_token", "'.'")
    for eot_tokens in ((), ("A",)):
        rendered, [ids] = made(tmp_path, template, [training_row(0)], eot_tokens=eot_tokens)
        with pytest.raises(UserError, match="does not learn an answer to its end"):
            compare(rendered, labelled(ids, *rendered.starts.values(), len(ids)))
    rendered, [ids] = made(tmp_path, template, [training_row(0)], eot_tokens=(".",))
    compare(rendered, labelled(ids, *rendered.starts.values(), len(ids)))
