"""What the licences of the registers allow of what is made of a set or a model.

As their publishers name and summarise them, as far as passing on is concerned; not checked clause
by clause, and no legal advice. A licence that is not listed is one that nobody has looked at.
"""

from dataclasses import dataclass

AGREEMENT = "agreement with the institute; not to be passed on"


@dataclass(frozen=True)
class Terms:
    """One licence: the hub's name for it, and what may be passed on.

    `changed`: copies that were altered may be, as rows made of a set are, and weights tuned from
    others. `on_request`: the set is handed out to whoever signs for it, and stays there. `notice`
    must stand with what is passed on.
    """

    hub: str | None
    changed: bool = True
    on_request: bool = False
    notice: str | None = None


TERMS = {
    "Apache-2.0": Terms("apache-2.0"),
    "MIT": Terms("mit"),
    "CC BY 4.0": Terms("cc-by-4.0"),
    "CC BY-SA 4.0": Terms("cc-by-sa-4.0"),
    "CC BY-ND 4.0": Terms("cc-by-nd-4.0", changed=False),
    "CC BY-NC 4.0": Terms("cc-by-nc-4.0"),
    "CC BY-NC-ND 4.0": Terms("cc-by-nc-nd-4.0", changed=False),
    "Gemma Terms of Use": Terms(
        "gemma",
        notice="Gemma is provided under and subject to the Gemma Terms of Use found at "
        "ai.google.dev/gemma/terms. These weights were changed.",
    ),
    "Meta Llama 3 Community License": Terms(
        "llama3",
        notice="Built with Meta Llama 3. Meta Llama 3 is licensed under the Meta Llama 3 Community "
        "License, Copyright © Meta Platforms, Inc. All Rights Reserved. The name of a model made "
        "of it begins with Llama 3.",
    ),
    AGREEMENT: Terms(None, changed=False, on_request=True),
}
_BY_NAME = {name.lower().replace("-", " "): terms for name, terms in TERMS.items()}


def terms_of(licence: str | None) -> Terms | None:
    """The terms of a licence, hyphens and blanks being one; None where they are not known."""
    return _BY_NAME.get((licence or "").lower().replace("-", " "))
