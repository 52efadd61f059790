"""The line where the user types: keys, completion, safe display, and a bound on what is pasted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.shortcuts import PromptSession
from prompt_toolkit.utils import get_cwidth, is_dumb_terminal

from fsmbot import commands
from fsmbot.terminal import STYLE, color_depth
from fsmbot.text import MARK, safe
from fsmbot.turn import MAX_MESSAGE

MAX_PASTE = MAX_MESSAGE + 1_000
"""Characters of a paste that are kept: more than a message may have, and still shown at once."""

CUT = " [... too long, cut here ...] "
"""What stands in a paste where it was cut."""

MAX_STACK = 30
"""Characters without a width, such as accents, that are shown on one letter."""

_PASTE_END = "\x1b[201~"


def make_prompt(history: History, toolbar: Callable[[], str]) -> PromptSession[str]:
    """Return the prompt; the toolbar is asked again twice a second."""
    session: PromptSession[str] = PromptSession(
        [("class:you", "you> ")],
        style=STYLE,
        color_depth=color_depth(),
        history=history,
        completer=CommandCompleter(),
        complete_while_typing=Condition(lambda: _is_name(session.default_buffer.text)),
        key_bindings=_keys(),
        input_processors=[SafeInput()],
        prompt_continuation=lambda width, line, wrapped: " " * width if wrapped else "...> ",
        bottom_toolbar=toolbar,
        refresh_interval=0.5,
    )
    return session


class CommandCompleter(Completer):
    """Completes the names of slash commands, from their table."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield the commands that begin with what was typed."""
        typed = document.text_before_cursor
        for name in _names(typed):
            entry = commands.COMMANDS[name]
            yield Completion(name, -len(typed), display=entry.usage, display_meta=entry.summary)


def _is_name(typed: str) -> bool:
    """Return whether this may become the name of a command."""
    return commands.is_command(typed) and " " not in typed


def _names(typed: str) -> list[str]:
    """Return the commands that begin with what was typed."""
    return [name for name in commands.COMMANDS if _is_name(typed) and name.startswith(typed)]


def _keys() -> KeyBindings:
    """Return the keys that differ from prompt_toolkit's own."""
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER) & Condition(lambda: not is_dumb_terminal())

    @keys.add("escape", "enter", filter=typing)
    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("tab", filter=typing & Condition(lambda: len(_names(get_app().current_buffer.text)) == 1))
    def finish(event: KeyPressEvent) -> None:
        # At once: the menu comes too late for whoever types fast.
        (name,) = _names(event.current_buffer.text)
        event.current_buffer.text = name
        event.current_buffer.cursor_position = len(name)

    @keys.add("c-c", filter=typing)
    @keys.add("<sigint>", filter=typing)
    def clear(event: KeyPressEvent) -> None:
        event.current_buffer.reset()

    @keys.add("<vt100-mouse-event>")
    def ignore(event: KeyPressEvent) -> None:
        """No mouse is asked for, and prompt_toolkit takes a typed "\x1b[31m" for a broken one."""

    return keys


class PasteLimit(Vt100Parser):
    """Drops what a paste has beyond MAX_PASTE characters, and says so at the end of it.

    prompt_toolkit searches all of a paste again for each kilobyte that comes: minutes for 10 MB.
    """

    def feed(self, data: str) -> None:
        """Take input as it comes."""
        if self._in_bracketed_paste and len(self._paste_buffer) > MAX_PASTE:
            tail = self._paste_buffer[-len(_PASTE_END) :]
            if _PASTE_END not in tail + data:
                self._paste_buffer = self._paste_buffer[:MAX_PASTE] + CUT + (tail + data)[-len(_PASTE_END) :]
                return
        super().feed(data)


def limit_paste(input: Input) -> None:
    """Put a PasteLimit into an input that parses a terminal's sequences."""
    if isinstance(input, Vt100Input):
        input.vt100_parser = PasteLimit(input.vt100_parser.feed_key_callback)


class SafeInput(Processor):
    """Shows what is typed, pasted or recalled as safe text, a character for a character.

    Of many marks on one letter, those beyond MAX_STACK are shown beside it: prompt_toolkit measures
    the letter anew with every mark, and would need minutes for a few thousand.
    """

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Replace unsafe characters in one line of the input."""
        fragments = transformation_input.fragments
        return Transformation([(style, _shown(text), *rest) for style, text, *rest in fragments])  # type: ignore[misc]


def _shown(text: str) -> str:
    text = safe(text)
    marks = "" if text.isascii() else "".join(c for c in set(text) if get_cwidth(c) == 0)
    if not marks:
        return text
    heap = f"[{re.escape(marks)}]{{{MAX_STACK + 1},}}"
    return re.sub(heap, lambda run: run[0][:MAX_STACK].ljust(len(run[0]), MARK), text)
