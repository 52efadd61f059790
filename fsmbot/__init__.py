"""fsmbot: conversations as finite-state machines in plain Python.

Flows are YAML files, nodes are registered handlers, and a session is an iterator of events.
"""

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
