"""Text to token ids: what somebody said, in which no special token and no marker of a template hides."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fsmbot.errors import DoctorError

Tokenizer = Any  # transformers.PreTrainedTokenizerBase; not imported here, to keep imports light
Cuttable = TypeVar("Cuttable", str, list[int])

_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class Content:
    """Encodes content for one tokenizer.

    markers: the texts that the template puts around content; what is ordinary text in them, such as
    [INST], is never spelt in content as it is there.
    Attribute: `forbidden`, the ids that content never has: special tokens and any other added marker.
    """

    def __init__(self, tokenizer: Tokenizer, markers: str) -> None:
        self._tokenizer = tokenizer
        self._vocabulary: dict[str, int] = tokenizer.get_vocab()
        self.forbidden = _forbidden_ids(tokenizer)
        self._lookalikes = _plain_markers(markers, tokenizer)
        self._ids_of = _encoder(tokenizer, self.forbidden)

    def encode(self, text: str) -> list[int]:
        """Return ids that decode to the text, none of them a marker.

        Where a tokenizer or a text insists on one, its characters are encoded one by one.
        """
        clean = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates become "?"
        with explained_panic():
            ids = self._ids_of(clean)
        if self._has_marker(clean) or self._has_marker_in(ids):
            ids = [part for i in ids for part in self._spell(i)]
        elif not self.forbidden.isdisjoint(ids):
            ids = [part for i in ids for part in (self._spell(i) if i in self.forbidden else [i])]
        return [i for i in ids if i not in self.forbidden]

    def cut(self, ids: list[int], room: int) -> list[int]:
        """Return encoded content without its middle; the ends make no marker where they meet."""
        kept = middle(ids, room)
        if len(kept) == len(ids) or self._has_marker_in(ids):  # which then is spelt out
            return kept
        while self._has_marker_in(kept):
            room -= 1
            kept = middle(ids, room)
        return kept

    def _has_marker(self, text: str) -> bool:
        return any(marker in text for marker in self._lookalikes)

    def _has_marker_in(self, ids: list[int]) -> bool:
        """Return whether ids read as a marker; a tokenizer may have rewritten the text that they are of."""
        if not self._lookalikes:
            return False
        with explained_panic():
            return self._has_marker(self._tokenizer.decode(ids, clean_up_tokenization_spaces=False))

    def _spell(self, token_id: int) -> list[int]:
        """Return ids that decode to the same text, one character each, or the id itself."""
        token = self._tokenizer.convert_ids_to_tokens(token_id)
        if _BYTE.fullmatch(token):
            return [token_id]
        ids = [self._character(c) for c in token]
        return [i for i in ids if i is not None] if None not in ids else [token_id]

    def _character(self, character: str) -> int | None:
        """Return the id of a single character in the vocabulary's own spelling, if it has one."""
        spellings = ("Ġ", "▁", " ") if character == " " else (character,)
        return next((self._vocabulary[s] for s in spellings if s in self._vocabulary), None)


def middle(content: Cuttable, room: int) -> Cuttable:
    """Cut out the middle: patients say who they are first and what they want to know last."""
    if len(content) <= room:
        return content
    head = room - room // 2
    return content[:head] + content[len(content) - room // 2 :]


def _encoder(tokenizer: Tokenizer, forbidden: frozenset[int]) -> Callable[[str], list[int]]:
    """Return a function from text to ids; special tokens are ordinary text to it.

    Other added tokens are found in any text, whatever the tokenizer is told, and may take the spaces
    beside them; so a tokenizer that has some is copied without them.
    """
    markers = [t for i, t in tokenizer.added_tokens_decoder.items() if i in forbidden and not t.special]
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not markers or backend is None:
        return lambda text: list(
            tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        )
    from tokenizers import Tokenizer as Backend

    data = {**json.loads(backend.to_str()), "post_processor": None, "truncation": None, "padding": None}
    data["added_tokens"] = [token for token in data["added_tokens"] if token["id"] not in forbidden]
    plain = Backend.from_str(json.dumps(data))
    kept = {text: i for text, i in tokenizer.get_added_vocab().items() if i not in forbidden}
    ids = {plain.token_to_id(text): i for text, i in kept.items()}  # the copy may number them anew
    return lambda text: [ids.get(i, i) for i in plain.encode(text, add_special_tokens=False).ids]


@contextmanager
def explained_panic() -> Iterator[None]:
    """Turn the panic of a tokenizer, which is written in Rust, into a DoctorError: it is no Exception."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise DoctorError(
            f"the tokenizer broke down ({error}); restore its files, or use another base"
        ) from error


def _forbidden_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids that content must not hold: special tokens and any other added marker."""
    added = tokenizer.get_added_vocab().items()
    markers = {i for text, i in added if text.strip() and not _BYTE.fullmatch(text)}
    return frozenset(markers | set(tokenizer.all_special_ids))


def _plain_markers(text: str, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Return markers that are ordinary text, such as [INST]: words with brackets or hashes."""
    for special in sorted(tokenizer.get_added_vocab(), key=len, reverse=True):
        text = text.replace(special, " ")
    return tuple({word for word in text.split() if re.search(r"[\[\]<>|#{}]", word)})
