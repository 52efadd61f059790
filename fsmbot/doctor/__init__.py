"""The doctor: a base model in 4 bits, an adapter if there is one, and streamed answers.

Importing this loads no model library; those are imported when a model is loaded.
"""

from fsmbot.doctor.fakes import BrokenDoctor, FakeDoctor
from fsmbot.doctor.generator import Doctor, LocalDoctor

__all__ = ["BrokenDoctor", "Doctor", "FakeDoctor", "LocalDoctor"]
