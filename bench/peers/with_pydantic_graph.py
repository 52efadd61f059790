"""pydantic-graph 2: typed asynchronous steps, decisions on literals; a turn is one run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from doctor import DOCTOR, GREETING, IDK, is_greeting, is_medical
from pydantic_graph import GraphBuilder, StepContext, TypeExpression


@dataclass
class State:
    """What is kept of a conversation; there is no session object."""

    text: str = ""


builder = GraphBuilder(state_type=State, input_type=str, output_type=str)


@builder.step
async def ask_user(ctx: StepContext[State, None, str]) -> None:
    ctx.state.text = ctx.inputs


@builder.step
async def check_medical(ctx: StepContext[State, None, None]) -> Literal["yes", "no"]:
    return "yes" if is_medical(ctx.state.text) else "no"


@builder.step
async def check_greeting(ctx: StepContext[State, None, object]) -> Literal["yes", "no"]:
    return "yes" if is_greeting(ctx.state.text) else "no"


@builder.step
async def ask_doctor(ctx: StepContext[State, None, object]) -> str:
    return DOCTOR


@builder.step
async def ans_greeting(ctx: StepContext[State, None, object]) -> str:
    return GREETING


@builder.step
async def static_idk_msg(ctx: StepContext[State, None, object]) -> str:
    return IDK


builder.add(
    builder.edge_from(builder.start_node).to(ask_user),
    builder.edge_from(ask_user).to(check_medical),
    builder.edge_from(check_medical).to(
        builder.decision()
        .branch(builder.match(TypeExpression[Literal["yes"]]).to(ask_doctor))
        .branch(builder.match(TypeExpression[Literal["no"]]).to(check_greeting))
    ),
    builder.edge_from(check_greeting).to(
        builder.decision()
        .branch(builder.match(TypeExpression[Literal["yes"]]).to(ans_greeting))
        .branch(builder.match(TypeExpression[Literal["no"]]).to(static_idk_msg))
    ),
    builder.edge_from(ask_doctor, ans_greeting, static_idk_msg).to(builder.end_node),
)
graph = builder.build()


def turn() -> Callable[[str], Awaitable[str]]:
    """A message and its answer, with instrumentation off, which is faster than the default."""
    graph.auto_instrument = False

    async def run(text: str) -> str:
        return await graph.run(state=State(), inputs=text)

    return run


VARIANTS = {"turn": turn}
