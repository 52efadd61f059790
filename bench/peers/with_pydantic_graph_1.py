"""pydantic-graph 1, the last with persistence: classes of nodes, whose return types are the edges."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doctor import DOCTOR, GREETING, IDK, is_greeting, is_medical
from pydantic_graph import BaseNode, End, Graph, GraphRunContext
from pydantic_graph.persistence.file import FileStatePersistence


@dataclass
class State:
    """What is kept of a conversation; there is no session object."""

    text: str = ""


@dataclass
class AskUser(BaseNode[State, None, str]):
    text: str

    async def run(self, ctx: GraphRunContext[State]) -> CheckMedical:
        ctx.state.text = self.text
        return CheckMedical()


@dataclass
class CheckMedical(BaseNode[State, None, str]):
    async def run(self, ctx: GraphRunContext[State]) -> AskDoctor | CheckGreeting:
        return AskDoctor() if is_medical(ctx.state.text) else CheckGreeting()


@dataclass
class CheckGreeting(BaseNode[State, None, str]):
    async def run(self, ctx: GraphRunContext[State]) -> AnsGreeting | StaticIdkMsg:
        return AnsGreeting() if is_greeting(ctx.state.text) else StaticIdkMsg()


@dataclass
class AskDoctor(BaseNode[State, None, str]):
    async def run(self, ctx: GraphRunContext[State]) -> End[str]:
        return End(DOCTOR)


@dataclass
class AnsGreeting(BaseNode[State, None, str]):
    async def run(self, ctx: GraphRunContext[State]) -> End[str]:
        return End(GREETING)


@dataclass
class StaticIdkMsg(BaseNode[State, None, str]):
    async def run(self, ctx: GraphRunContext[State]) -> End[str]:
        return End(IDK)


graph = Graph(nodes=(AskUser, CheckMedical, CheckGreeting, AskDoctor, AnsGreeting, StaticIdkMsg))


def turns(persistence: Callable[[], Any]) -> Callable[[str], Awaitable[str]]:
    """A message and its answer; a persistence holds the steps of one run."""

    async def run(text: str) -> str:
        done = await graph.run(AskUser(text), state=State(), persistence=persistence())
        return done.output

    return run


def files() -> Callable[[str], Awaitable[str]]:
    """Every step written to a file, one for each run."""
    folder, numbers = Path(tempfile.mkdtemp()), itertools.count()
    return turns(lambda: FileStatePersistence(folder / f"{next(numbers)}.json"))


VARIANTS = {
    "turn": lambda: turns(lambda: None),
    "files": files,
}
