"""Chatsky: a script of nodes, with the checks as conditions of transitions; it always keeps a context."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from chatsky import RESPONSE, TRANSITIONS, BaseCondition, Context, Message, Pipeline
from chatsky import Transition as Tr
from chatsky.context_storages import context_storage_factory
from doctor import DOCTOR, GREETING, IDK, is_greeting, is_medical, new_file, session_ids


class Medical(BaseCondition):
    async def call(self, ctx: Context) -> bool:
        return is_medical(ctx.last_request.text)


class Greeting(BaseCondition):
    async def call(self, ctx: Context) -> bool:
        return is_greeting(ctx.last_request.text)


ROUTES = [
    Tr(dst="ask_doctor", cnd=Medical(), priority=3),
    Tr(dst="ans_greeting", cnd=Greeting(), priority=2),
    Tr(dst="static_idk_msg", priority=1),
]
SCRIPT = {
    "doctor": {
        "ask_user": {TRANSITIONS: ROUTES},
        "ask_doctor": {RESPONSE: DOCTOR, TRANSITIONS: ROUTES},
        "ans_greeting": {RESPONSE: GREETING, TRANSITIONS: ROUTES},
        "static_idk_msg": {RESPONSE: IDK, TRANSITIONS: ROUTES},
    }
}


def build(**storage: Any) -> Pipeline:
    """Return the bot, which is shared by all sessions."""
    start, fallback = ("doctor", "ask_user"), ("doctor", "static_idk_msg")
    return Pipeline(SCRIPT, start_label=start, fallback_label=fallback, **storage)


def turns(**storage: Any) -> Callable[[str], Awaitable[str]]:
    """A message and its answer in a context that a storage keeps, without a new event loop a turn."""
    bot, ids = build(**storage), session_ids()

    async def run(text: str) -> str:
        if not bot.context_storage.connected:
            await bot.context_storage.connect()
        context = await bot._run_pipeline(Message(text), next(ids))
        return context.last_response.text

    return run


def sqlite() -> Callable[[str], Awaitable[str]]:
    """Contexts in a file, by its own SQL storage."""
    return turns(context_storage=context_storage_factory(f"sqlite+aiosqlite:///{new_file()}"))


def idle(count: int) -> Pipeline:
    """Return a bot that has so many contexts, each with one answered message."""
    bot = build()
    for number in range(count):
        bot(Message("hello there"), str(number))
    return bot


VARIANTS = {"memory": turns, "sqlite": sqlite}
SESSIONS = {"idle": idle}
