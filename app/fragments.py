"""Pieces of pages as HTML; all that comes from data is escaped.

On a narrow screen each row of a table becomes a card, its cells named by their headings, so that
nothing lies off the screen.
"""

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from app.language import Say, sentence
from core.errors import UserError
from core.records import Question, Turn

Cell = str | Markup
# a button of a list says which line it stands for, with what it says of itself
ON_CLICK = """element.addEventListener('click', event => {
  const button = event.target.closest('button[data-key]');
  if (button) trigger('select', {key: button.dataset.key});
});"""
SCROLL = (
    "() => document.querySelector('{}')?.scrollIntoView({{behavior: 'smooth', block: 'nearest'}})"
)


def join(parts: Iterable[Cell]) -> Markup:
    """Pieces one behind the other."""
    return Markup("").join(parts)


def said(sentence: str) -> Markup:
    """One sentence in the place of what cannot be shown."""
    return Markup('<p class="said" role="status">{}</p>').format(sentence)


def refused(error: UserError, say: Say) -> Markup:
    """The sentence of what was refused."""
    return said(sentence(error.args[0], say))


def heading(text: str, note: str = "") -> Markup:
    """A heading, and what there is to know of what follows."""
    return Markup("<h3>{}</h3>").format(text) + (
        Markup('<p class="note">{}</p>').format(note) if note else Markup()
    )


def table(
    headings: Sequence[str], rows: Iterable[Sequence[Cell]], marks: Sequence[str] = ()
) -> Markup:
    """A table; `marks` holds a class for each row where there are any."""
    head = join(Markup("<th scope='col'>{}</th>").format(one) for one in headings)
    body = [
        Markup("<tr class='{}'>{}</tr>").format(
            marks[number] if marks else "",
            join(
                Markup("<td data-name='{}'>{}</td>").format(name, cell)
                for name, cell in zip(headings, row, strict=True)
            ),
        )
        for number, row in enumerate(rows)
    ]
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
        head, join(body)
    )


def button(key: str, text: str) -> Markup:
    """A button that opens the line of a list."""
    return Markup('<button type="button" class="open" data-key="{}">{}</button>').format(key, text)


def to_try(run: str, record: str, models: Sequence[str], text: str) -> Markup:
    """A button that opens a question of a run in Try, asked of those models."""
    key = "\t".join((run, record, *models))
    return Markup('<button type="button" class="try" data-key="{}">{}</button>').format(key, text)


def share(value: float | None) -> Markup:
    """A probability as a figure and a bar."""
    if value is None:
        return Markup("–")
    return Markup(
        '<span class="figure"><span class="share"><span class="bar" style="width:{:.2f}%">'
        "</span></span> {}</span>"
    ).format(100 * value, percent(value))


def interval(low: float, value: float, high: float) -> Markup:
    """An accuracy as a dot between the ends of its interval."""
    return Markup(
        '<span class="range" title="{}–{}"><span class="span" style="left:{:.2f}%;width:{:.2f}%">'
        '</span><span class="dot" style="left:{:.2f}%"></span></span>'
    ).format(percent(low), percent(high), 100 * low, 100 * (high - low), 100 * value)


def percent(value: float) -> str:
    """A share as reports write it."""
    return f"{value:.1%}"


def text(value: str) -> Markup:
    """A text with its line breaks as they are."""
    return Markup('<pre class="text">{}</pre>').format(value)


def marked(value: str, wanted: str) -> Markup:
    """A text in which what was searched for is highlighted."""
    if not wanted.strip():
        return escape(value)
    return (
        Markup("<mark>{}</mark>").format(wanted).join(escape(part) for part in value.split(wanted))
    )


def turns(shown: Iterable[Turn], focus: Iterable[str]) -> Markup:
    """A dialogue; the utterances that the question refers to are highlighted."""
    named = set(focus)
    return Markup('<ol class="turns">{}</ol>').format(
        join(
            Markup("<li{}><b>{}</b> {}</li>").format(
                Markup(' class="focus"') if turn.id in named else "", turn.speaker, turn.text
            )
            for turn in shown
        )
    )


def question(one: Question) -> Markup:
    """What a question asks about, without its options."""
    parts = [turns(one.turns, one.focus)] if one.turns else []
    parts += [text(part) for part in (one.passage, one.question, one.note) if part]
    return join(parts)
