"""The values that YAML text without quotes stands for: a constant, a decimal number, or the text itself."""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}


def scalar(text: str) -> Any:
    """Return the value of an unquoted scalar: a constant, a decimal number, or text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number.is_integer():
            return int(number)  # as in JSON Schema, 1.0 is a whole number
        return number if isfinite(number) else text
    return text


def written(value: object) -> str:
    """Return a scalar as a flow author would have written it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)
