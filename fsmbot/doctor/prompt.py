"""The one prompt format: messages to token ids, and which of the ids are the answer.

A chat template (the tokenizer's own, else Llama-2's) is rendered once around placeholders. What
stands between the placeholders are markers, encoded with special tokens; what people and the model
said is encoded apart from them, so that no text can become a special token. The idea of rendering
ids and mask together is nanochat's `render_conversation` (https://github.com/karpathy/nanochat);
the [INST] format is that of "Llama 2" (https://arxiv.org/abs/2307.09288, appendix A.3.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fsmbot.doctor.content import Content, Tokenizer, explained_panic, middle
from fsmbot.doctor.template import render, template_of
from fsmbot.errors import DoctorError
from fsmbot.turn import Message

VERSION = 1
"""Rises whenever the same messages would give other ids, so that an adapter can tell."""

SYSTEM = "You are a helpful AI assistant for health questions, not a doctor."
"""Short on purpose: asked for more, the embedded model talks about its instructions."""

LLAMA_2 = (
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{{ bos_token }}[INST] <<SYS>>\n{{ m.content }}\n<</SYS>>\n\n"
    "{% elif m.role == 'user' %}"
    "{% if loop.first or loop.previtem.role != 'system' %}{{ bos_token }}[INST]{% endif %}"
    "{{ m.content }}[/INST]"
    "{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
"""No spaces beside the contents: SentencePiece puts one before each piece by itself."""

Format = Literal["chat-template", "llama-2"]

QUESTION = -1
"""Stands for the question where only what is around it matters; no token has this id."""

_HOLE = re.compile(r"FSMBOT-HOLE-(\d+)-END")
_CHARACTERS_PER_TOKEN = 24  # above any usual average; only guards against encoding megabytes


@dataclass(frozen=True, slots=True)
class Example:
    """One question with its answer, as the trainer sees it.

    ids: all tokens, from the system prompt to the token that ends the answer.
    answer: as long as `ids`; True for the tokens to be learnt (the answer and its end token).
    cut_question, cut_answer: tokens left out to keep within the budget.
    """

    ids: list[int]
    answer: list[bool]
    cut_question: int = 0
    cut_answer: int = 0


class Prompt:
    """The prompt format for one tokenizer.

    tokenizer: of transformers; its chat template is used where it has one.
    system: what stands before every conversation ("" for what the chat template puts there itself).
    Attributes: `format`, `system`, `end` (the id that ends an answer), `stops` (all ids that end
    generation), `prefix` (the ids every prompt begins with, so that they need computing once).
    Raises DoctorError when the chat template cannot be used.
    """

    def __init__(self, tokenizer: Tokenizer, system: str = SYSTEM) -> None:
        self._tokenizer = tokenizer
        self.system = system
        template = template_of(tokenizer)
        self.format: Format = "chat-template" if template else "llama-2"
        self._template = template or LLAMA_2
        self._markers: dict[tuple[str, ...], list[list[int]]] = {}
        self._folds_system = not self._knows_system()
        roles = ("user", "assistant", "user")
        texts = self._texts(roles if self._folds_system else ("system", *roles), prompting=True)
        self._content = Content(tokenizer, " ".join(texts))
        self._tail = self._answer_tail()
        self.end = self._tail[-1]
        self.stops = frozenset({self.end, tokenizer.eos_token_id} - {None}) | self._beginnings()
        self.prefix = self._common_prefix()

    def question(self, text: str, history: Sequence[Message] = (), *, budget: int = 1024) -> list[int]:
        """Return the ids of a conversation that ends where the answer is to begin.

        History is left out from its oldest exchange on, then the question is cut in its middle,
        until everything fits `budget` tokens.
        """
        talk = _alternate([*history, Message("user", text)])
        contents = [self.content(middle(m.text, budget * _CHARACTERS_PER_TOKEN)) for m in talk]
        ids = self._join(contents)
        while len(ids) > budget and len(contents) > 1:
            del contents[:2]
            ids = self._join(contents)
        if len(ids) > budget:
            room = max(0, len(contents[-1]) - (len(ids) - budget))
            ids = self._join([self._content.cut(contents[-1], room)])
        return ids

    def example(self, question: str, answer: str, *, budget: int = 1024) -> Example:
        """Return one training example of at most `budget` tokens.

        What is too long is taken from the question's middle first and then from the answer's end;
        the token that ends the answer always stays.
        """
        asked, said = self.content(question), self.content(answer)
        frame = len(self._join([[]])) + len(self._tail)
        room = max(0, budget - frame)
        kept_said = said[:room]
        kept_asked = self._content.cut(asked, room - len(kept_said))
        head = self._join([kept_asked])
        learnt = kept_said + self._tail
        mask = [False] * len(head) + [True] * len(learnt)
        cut = len(asked) - len(kept_asked), len(said) - len(kept_said)
        return Example(head + learnt, mask, *cut)

    def content(self, text: str) -> list[int]:
        """Encode what somebody said: no special token, no template marker; the text round-trips."""
        return self._content.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of generated ids, special tokens left out."""
        with explained_panic():
            text: str = self._tokenizer.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        return text

    def _join(self, contents: Sequence[list[int]]) -> list[int]:
        """Put markers around contents, which go user, assistant, user…, after the system prompt."""
        roles = tuple("user" if i % 2 == 0 else "assistant" for i in range(len(contents)))
        filled = list(contents)
        if self.system and self._folds_system:
            filled[0] = self.content(self.system + "\n\n") + filled[0]
        elif self.system:
            roles, filled = ("system", *roles), [self.content(self.system), *filled]
        markers = self._encoded_markers(roles)
        ids = list(markers[0])
        for content, marker in zip(filled, markers[1:], strict=True):
            ids += content + marker
        return ids

    def _encoded_markers(self, roles: tuple[str, ...]) -> list[list[int]]:
        if roles not in self._markers:
            texts = self._texts(roles, prompting=True)
            self._markers[roles] = [self._encode_marker(text) for text in texts]
        return self._markers[roles]

    def _encode_marker(self, text: str) -> list[int]:
        if not text:
            return []
        with explained_panic():
            encoded = self._tokenizer(text, add_special_tokens=False, split_special_tokens=False)
        return list(encoded["input_ids"])

    def _texts(self, roles: Sequence[str], *, prompting: bool) -> list[str]:
        """Render the template around holes; return the texts before, between and after them."""
        messages = [{"role": role, "content": f"FSMBOT-HOLE-{i}-END"} for i, role in enumerate(roles)]
        text = render(self._tokenizer, self._template, messages, prompting=prompting)
        pieces = _HOLE.split(text)
        if pieces[1::2] != [str(i) for i in range(len(roles))]:
            raise DoctorError(
                f"the tokenizer's chat template changes or drops messages of the roles {roles}; "
                "use a base whose template keeps user, assistant and order"
            )
        return pieces[::2]

    def _knows_system(self) -> bool:
        try:
            self._texts(("system", "user"), prompting=True)
        except DoctorError as error:
            if isinstance(error.__cause__, (TimeoutError, MemoryError)):
                raise
            return False
        return True

    def _answer_tail(self) -> list[int]:
        """Return the ids that follow an answer, up to the one that ends it."""
        ids = self._encode_marker(self._texts(("user", "assistant"), prompting=False)[-1])
        eos = self._tokenizer.eos_token_id
        for place, token_id in enumerate(ids):
            if token_id in self._content.forbidden or token_id == eos:
                return ids[: place + 1]
        if eos is None:
            raise DoctorError("the tokenizer has no end-of-sequence token; answers could not end")
        return [eos]

    def _beginnings(self) -> frozenset[int]:
        """Return the tokens with which something else than the answer begins: whoever says one is done."""
        special = {i for i, token in self._tokenizer.added_tokens_decoder.items() if token.special}
        markers = {i for marker in self._encoded_markers(("user", "assistant", "user")) for i in marker}
        return frozenset(special | (markers & self._content.forbidden))

    def _common_prefix(self) -> list[int]:
        ids = self._join([[QUESTION]])
        return ids[: ids.index(QUESTION)]


def _alternate(messages: Sequence[Message]) -> list[Message]:
    """Begin with the user and join neighbours of one role, as chat templates demand."""
    talk: list[Message] = []
    for message in messages:
        if talk and talk[-1].role == message.role:
            talk[-1] = Message(message.role, f"{talk[-1].text}\n{message.text}")
        elif talk or message.role == "user":
            talk.append(message)
    return talk
