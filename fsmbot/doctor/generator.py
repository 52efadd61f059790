"""A doctor answers questions in streamed text: the protocol, and the one with a local model.

doctor = LocalDoctor()
doctor.preload()                       # loads in the background
for piece in doctor.answer("What helps against hay fever?"):
    print(piece, end="", flush=True)
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fsmbot.doctor.adapter import with_adapter
from fsmbot.doctor.artefact import SHIPPED, Card, check_artefact, has_adapter, read_card
from fsmbot.doctor.base import Base, load_base
from fsmbot.doctor.decode import Decoding, decode
from fsmbot.doctor.prompt import Prompt
from fsmbot.doctor.quiet import quiet
from fsmbot.doctor.sentences import first_sentence_end, last_sentence_end
from fsmbot.errors import DoctorError, MissingExtra, ResourceError, first_line
from fsmbot.turn import Message

log = logging.getLogger("fsmbot.doctor")

RETRY_SECONDS = 60.0
"""How long after a failure to load the next question tries again."""

LOADING_SECONDS = 600.0
"""How long loading may take until questions are refused; a first start fetches and converts the base."""

HUNG_SECONDS = 30.0
"""How long a computation may make no token until the next one no longer waits for it."""


class Doctor(Protocol):
    """Whoever answers medical questions, as handlers see it."""

    def answer(
        self, text: str, history: Sequence[Message] = (), *, max_new_tokens: int = 256
    ) -> Iterator[str]:
        """Yield the answer piece by piece, whole characters only.

        history: finished messages before this one, oldest first. Raises ResourceError, at once or
        half-way, when no (further) answer can be had.
        """
        ...


@dataclass(frozen=True)
class _Loaded:
    model: Any
    prompt: Prompt
    decoding: Decoding
    budget: int


class LocalDoctor:
    """A base model in 4 bits with the artefact folder's adapter, loaded when first needed.

    adapter: an artefact folder; "" is the shipped doctor, or no adapter if a base is named.
    base: a base other than the artefact's own: an id of the hub or a local folder.
    device: "cpu", "cuda"…; "" takes CUDA where there is one.
    decoding: how to choose tokens; None takes what the artefact says.
    The same question gets the same answer, unless `decoding` has a temperature and another seed.
    """

    def __init__(
        self, *, adapter: str | Path = "", base: str = "", device: str = "", decoding: Decoding | None = None
    ) -> None:
        self._adapter, self._base, self._device = adapter, base, device
        self._decoding = decoding
        self._starting = threading.Lock()
        self._busy = threading.Lock()
        self._moved_at = 0.0
        self._loading: threading.Event | None = None
        self._loading_since = self._failed_at = 0.0
        self._loaded: _Loaded | None = None
        self._failure: ResourceError | None = None
        self._status = "not loaded"

    @property
    def status(self) -> str:
        """ "not loaded", "loading", "unavailable", or the model's name."""
        return self._status

    def preload(self) -> None:
        """Begin to load in a background thread and return at once; later calls do nothing."""
        with self._starting:
            if self._failure is not None and time.monotonic() - self._failed_at > RETRY_SECONDS:
                self._loading = None  # the network, or the folder, may have been mended
            if self._loading is None:
                self._loading, self._status = threading.Event(), "loading"
                self._loading_since = time.monotonic()
                # A daemon, so that leaving the program need not wait for a model.
                threading.Thread(target=self._load, name="load-doctor", daemon=True).start()

    def answer(
        self, text: str, history: Sequence[Message] = (), *, max_new_tokens: int = 256
    ) -> Iterator[str]:
        """Yield the answer piece by piece; see `Doctor`.

        Closing the iterator or Ctrl-C ends the computation at once, also while the model loads
        (loading itself goes on in the background). One answer is computed at a time. An answer
        that reaches `max_new_tokens` ends with its last whole sentence. Raises DoctorError, also where
        a package is missing; the reason is logged once.
        """
        loaded = self._wait()
        busy = self._enter()
        try:
            ids = loaded.prompt.question(text, history, budget=loaded.budget)
            tokens = decode(loaded.model, ids, loaded.prompt.stops, max_new_tokens, loaded.decoding)
            yield from stream_text(self._noted(tokens), loaded.prompt, max_new_tokens)
        except DoctorError:
            raise
        except Exception as error:  # torch: out of memory, bad weights; and whatever a tokenizer raises
            said = first_line(error)
            raise DoctorError(
                f"the model failed while answering: {said}; use another base or adapter"
            ) from error
        finally:
            busy.release()

    def _wait(self) -> _Loaded:
        """Return the loaded model, waiting for it; raises what loading raised."""
        self.preload()
        assert self._loading is not None
        while not self._loading.wait(0.1):  # in short waits, so that Ctrl-C works on every system
            if time.monotonic() - self._loading_since > LOADING_SECONDS:
                raise DoctorError(f"the model is still loading after {LOADING_SECONDS:g} s")
        if self._loaded is None:
            # A fresh one each time: a raised exception collects tracebacks.
            failure = DoctorError(str(self._failure))
            failure.logged = True
            raise failure from self._failure
        return self._loaded

    def _enter(self) -> threading.Lock:
        """Wait until no other answer is computed, or until that one hangs; return the lock, taken."""
        while True:
            busy = self._busy
            if busy.acquire(timeout=0.1):
                self._moved_at = time.monotonic()
                return busy
            with self._starting:
                if busy is self._busy and time.monotonic() - self._moved_at > HUNG_SECONDS:
                    log.error("an answer that makes no progress is left behind")
                    self._busy = threading.Lock()

    def _noted(self, tokens: Iterable[int]) -> Iterator[int]:
        """Pass tokens on, and note when they come."""
        for token in tokens:
            self._moved_at = time.monotonic()
            yield token

    def _load(self) -> None:
        """Load, note how it went, and wake whoever waits."""
        loading = self._loading
        assert loading is not None
        try:
            self._loaded, name = self._read()
            self._failure, self._status = None, name
        except ResourceError as error:
            self._failure = self._report(error)
        except BaseException as error:  # a thread's exception would otherwise vanish
            said = f"{type(error).__name__}: {first_line(error)}"
            failure = DoctorError(f"the model cannot be loaded: {said}; use another base or adapter")
            self._failure = self._report(failure)
        finally:
            self._failed_at = time.monotonic()
            loading.set()

    def _read(self) -> tuple[_Loaded, str]:
        """Load base, adapter and prompt format; return them with the model's name."""
        folder, card = self._artefact()
        adapted = folder is not None and has_adapter(folder)
        try:
            base = load_base(
                self._base or card.base, "" if self._base else card.revision, device=self._device
            )
            model = base.model
            if folder is not None and adapted:
                with quiet():
                    model = with_adapter(model, folder)
        except ImportError as error:
            raise MissingExtra(error.name or str(error), "doctor", "the doctor model") from error
        prompt = Prompt(base.tokenizer, card.system)
        if card.prompt_format not in ("", prompt.format):
            raise DoctorError(
                f"'{folder}' was trained with the prompt format '{card.prompt_format}', but this "
                f"base has '{prompt.format}'; use the base it was trained on"
            )
        from fsmbot.doctor.stepper import stepper_for  # here, as it brings torch with it

        model = stepper_for(model, prompt.prefix) or model
        loaded = _Loaded(model, prompt, self._decoding or card.decoding, card.max_prompt_tokens)
        # The first step may repack the weights for this machine: better now than while a user waits.
        next(decode(model, prompt.prefix, (), 1, loaded.decoding), None)
        return loaded, model_name(base, adapted)

    def _artefact(self) -> tuple[Path | None, Card]:
        """Return the folder and its card; a base of the user's own goes without the shipped adapter."""
        if self._adapter:
            folder = Path(self._adapter).expanduser()
            check_artefact(folder)
            return folder, read_card(folder)
        return (None, Card()) if self._base else (SHIPPED, read_card(SHIPPED))

    def _report(self, error: ResourceError) -> ResourceError:
        self._status = "unavailable"
        if self._failure is None or str(self._failure) != str(error):
            log.error("%s", error)
        return error


def model_name(base: Base, adapted: bool) -> str:
    """Return a short name for a toolbar, such as "SmolLM2-135M-Instruct nf4 + adapter"."""
    return f"{Path(base.id).name} {base.quantization}{' + adapter' if adapted else ''}"


def stream_text(tokens: Iterable[int], prompt: Prompt, limit: int) -> Iterator[str]:
    """Yield the text of tokens as they come; what the limit would cut off is left out.

    In the last tokens before `limit`, once a sentence has ended, only whole sentences are passed
    on; so an answer that is too long ends with a sentence, without holding back the rest of it.
    """
    near = limit - min(64, limit // 2)
    ids: list[int] = []
    text, sent, fence = "", 0, -1
    for token in tokens:
        ids.append(token)
        text = prompt.decode(ids)
        if text.endswith("\ufffd"):  # a character whose bytes are not all there yet
            continue
        if fence < 0 and len(ids) >= near:
            fence = sent
        end = _passable(text, fence)
        if end > sent:
            yield text[sent:end]
            sent = end
    rest = text[sent:].rstrip("\ufffd") if len(ids) < limit else _ending(text, sent, fence)
    if rest:
        yield rest


def _ending(text: str, sent: int, fence: int) -> str:
    """Return what still follows when the limit cut the text: up to its last sentence, or "…"."""
    end = last_sentence_end(text + " ")
    if end > max(fence, 0):
        return text[sent:end]
    return text[sent:].rstrip("\ufffd") + "…" if text.strip() else ""


def _passable(text: str, fence: int) -> int:
    """Return how much may be shown: all of it, or whole sentences once one ended past the fence."""
    if fence < 0 or not first_sentence_end(text[fence:]):
        return len(text)
    return last_sentence_end(text)
