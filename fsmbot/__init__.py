"""fsmbot: conversations as finite-state machines in plain Python.

Flows are YAML files, nodes are registered handlers, and a session is an iterator of events.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsmbot.contract import Text
    from fsmbot.errors import FlowError, FsmbotError, HandlerError, RegistrationError, StateError
    from fsmbot.flow import Flow, Node
    from fsmbot.loader import load_flow, parse_flow
    from fsmbot.placeholders import fill
    from fsmbot.registry import Registry, Resources, handler, resource
    from fsmbot.session import Session
    from fsmbot.turn import Message, State, Turn

__version__ = "0.1.0"

__all__ = [
    "Flow",
    "FlowError",
    "FsmbotError",
    "HandlerError",
    "Message",
    "Node",
    "RegistrationError",
    "Registry",
    "Resources",
    "Session",
    "State",
    "StateError",
    "Text",
    "Turn",
    "fill",
    "handler",
    "load_flow",
    "parse_flow",
    "resource",
]

_MODULES = {
    "contract": ("Text",),
    "errors": ("FlowError", "FsmbotError", "HandlerError", "RegistrationError", "StateError"),
    "flow": ("Flow", "Node"),
    "loader": ("load_flow", "parse_flow"),
    "placeholders": ("fill",),
    "registry": ("Registry", "Resources", "handler", "resource"),
    "session": ("Session",),
    "turn": ("Message", "State", "Turn"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a name's module when the name is first used (https://peps.python.org/pep-0562/)."""
    if name not in _HOME:
        raise AttributeError(f"module 'fsmbot' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"fsmbot.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
