"""How much a flow may take to read, with all the flows that it runs: small files can name a lot of work."""

from __future__ import annotations

import msgspec

MAX_VALUES = 100_000
"""Keys, texts, numbers, lists and maps in all files together."""

MAX_NODES = 10_000
"""Nodes of all flows together, those of a subflow counted each time it is run."""

MAX_FLOWS = 500
"""Files of subflows."""

MAX_INNER_BYTES = 1_000_000
"""Bytes of the files of subflows together."""


class Room(msgspec.Struct):
    """What is left of it."""

    values: int = MAX_VALUES
    nodes: int = MAX_NODES
    flows: int = MAX_FLOWS
    inner_bytes: int = MAX_INNER_BYTES
