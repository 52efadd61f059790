"""The flows to copy, faq.yaml, intake.yaml and clinic.yaml: conversations, and promises for every node."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fsmbot.doctor.fakes import FakeDoctor
from fsmbot.events import Ended, Entered, Event, Failed, Listening, Said
from fsmbot.flow import Flow
from fsmbot.handlers.emergency import emergency
from fsmbot.loader import load_flow
from fsmbot.session import Session
from fsmbot.turn import Message, State

ROOT = Path(__file__).parent.parent
FLOWS = ROOT / "flows"
HEAVY = {"torch", "transformers", "peft", "bitsandbytes", "gensim", "numpy", "prompt_toolkit", "pygraphviz"}
TALKING = ("faq", "intake", "clinic")
"""The flows that people talk to; the others are parts of these."""

FORM: dict[str, Any] = {"name": "Ada", "age": 36, "symptom": "a cough", "duration": "a week", "asked_all": 36}
MEMORY = {**FORM, "intake": FORM}
"""What a conversation would remember by the time it comes to any of the nodes."""

EMERGENCIES = (
    "crushing chest pain and I can't breathe",
    "I want to die",
    "my friend took a whole bottle of pills",
    "goodbye everyone, I am going to jump off the bridge",
    "please help, my baby is not breathing",
)

ODD = (
    "", " ", "?", "...", "!!!", "ok", "yes", "no", "nothing", "no thanks", "idk", "what?", "why", "help",
    "cancel", "bye", "thanks", "my name is Ada", "I'm 36", "thirty six", "since monday", "two weeks", "36",
    "-1", "1e999", "👍", "\U0001f3fb", "\x00", "\ud800", "{name}", "{{name}}", "${HOME} `ls`", "<b>hi</b>",
    "restart", "back", "repeat", "say that again", "mi chiamo Ada", "私は元気です", "नमस्ते", "مرحبا",
    "false alarm", "human", "appointment", "are you a doctor", "a" * 19_000, "very " * 3_000, "\n\n\n",
    "9" * 400,
)  # fmt: skip


def flow_of(name: str) -> Flow:
    """Load one of the example flows."""
    return load_flow(FLOWS / f"{name}.yaml")


@pytest.fixture(scope="module")
def flows() -> dict[str, Flow]:
    return {name: flow_of(name) for name in TALKING}


def listening(flow: Flow) -> list[str]:
    """Return the paths of all nodes that listen, those of subflows too."""
    return [path for path, place in flow.places.items() if place.node.listens]


def session_at(flow: Flow, node: str, doctor: FakeDoctor | None = None) -> Session:
    """Return a session that waits at a node, as if everything had been asked before."""
    history = (Message("user", "hi"), Message("bot", "And then?"))
    state = State(node, "listening", MEMORY, history, 1, flow.fingerprint)
    return talk_in(flow, doctor or FakeDoctor(), state)


def talk_in(flow: Flow, doctor: FakeDoctor, state: State | None = None) -> Session:
    asks = any("doctor" in place.node.handler.resources for place in flow.places.values())
    return Session(flow, {"doctor": doctor} if asks else None, state)


def deaf(flow: Flow, cry: str) -> list[str]:
    """Return the listening nodes at which a cry for help is not answered first, or reaches the doctor."""
    found, nodes = emergency(cry), []
    assert found is not None, cry
    for node in listening(flow):
        doctor = FakeDoctor()
        reply = session_at(flow, node, doctor).say(cry)
        if not reply.startswith(found.reply) or doctor.asked:
            nodes.append(node)
    return nodes


@pytest.mark.parametrize("file", sorted(FLOWS.glob("*.yaml"), key=str), ids=lambda path: path.name)
def test_every_flow_loads_and_points_editors_to_the_schema(file: Path) -> None:
    """No mistakes, a description, and completion in an editor that knows schemas."""
    if not file.name.endswith(".test.yaml"):
        assert load_flow(file).description
        assert file.read_text().startswith("# yaml-language-server: $schema=flow.schema.json\n")


def test_the_faq_runs_on_the_bare_install() -> None:
    """A conversation in faq.yaml, through the program itself, loads no numpy, no model, no prompt."""
    said = "hello\nwhen are you open?\nI have a headache\ncrushing chest pain\nfalse alarm\nbye\n"
    code = (
        "import sys; from fsmbot.cli import main; main(['--flow', 'flows/faq.yaml']); "
        "print('loaded:', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=said, capture_output=True, text=True, check=True
    )
    talk, _, loaded = done.stdout.rpartition("loaded:")
    for answer in ("Hello", "Monday to Friday", "about health", "emergency number now", "Goodbye"):
        assert answer in talk
    assert HEAVY.isdisjoint(loaded.split())
    assert {"yaml", "msgspec"} <= set(loaded.split())


@pytest.mark.parametrize("cry", EMERGENCIES)
@pytest.mark.parametrize("name", TALKING)
def test_an_emergency_is_heard_wherever_the_flow_listens(flows: dict[str, Flow], name: str, cry: str) -> None:
    """At every node that listens, a yes-or-no question too, the emergency reply comes first, by rule."""
    assert deaf(flows[name], cry) == []


def deafened(flow: Flow, path: str) -> Flow:
    """Return the flow with one listening node that leads past every check, to some node that speaks."""
    name, _, rest = path.partition("/")
    node = flow.nodes[name]
    if rest:
        assert node.flow is not None
        changed = replace(node, flow=deafened(node.flow, rest))
    else:
        changed = replace(node, next=next(n.name for n in flow.nodes.values() if n.handler.name == "say"))
    return replace(flow, nodes={**flow.nodes, name: changed})


@pytest.mark.parametrize("name", TALKING)
def test_the_walk_finds_a_node_that_does_not_hear(flows: dict[str, Flow], name: str) -> None:
    """With the check behind any one listening node left out, that node, and no other, is found."""
    for node in listening(flows[name]):
        assert deaf(deafened(flows[name], node), EMERGENCIES[0]) == [node]


@pytest.mark.parametrize("message", ODD, ids=lambda message: ascii(message[:20]))
@pytest.mark.parametrize("name", TALKING)
def test_no_odd_message_breaks_or_stops_a_node(flows: dict[str, Flow], name: str, message: str) -> None:
    """From every node that listens a turn ends at a listening node or at the end, having said something."""
    for node in listening(flows[name]):
        events = list(session_at(flows[name], node).send(message))
        assert isinstance(events[-1], (Listening, Ended)), node
        assert not [event for event in events if isinstance(event, Failed)], node
        reply = "".join(event.text for event in events if isinstance(event, Said))
        assert reply.strip(), node
        assert "{" in message or "{" not in reply, f"{node} leaves a place unfilled: {reply}"


@pytest.mark.parametrize("name", TALKING)
def test_who_wants_to_leave_can(flows: dict[str, Flow], name: str) -> None:
    """From every node that listens "cancel", "false alarm" or "bye" leads out, said in this order."""
    for node in listening(flows[name]):
        session = session_at(flows[name], node)
        for word in ("cancel", "false alarm", "bye"):
            if session.state.status == "listening":
                session.say(word)
        assert session.state.status == "ended", node


@pytest.mark.parametrize("name", TALKING)
def test_no_spoken_command_swallows_an_emergency(flows: dict[str, Flow], name: str) -> None:
    """The words of commands never reach the check, so none is a cry for help; "help" is bound nowhere."""
    commands = flows[name].commands
    assert set(commands) == {"back", "restart", "repeat", "help"}
    for phrase in (phrase for command in commands.values() for phrase in command.phrases):
        assert emergency(phrase) is None, phrase
    for cry in ("help", "Help!", "help me", "please help", "I need help", *EMERGENCIES):
        assert flows[name].spoken(cry) is None


@pytest.mark.parametrize("name", TALKING)
def test_every_promise_of_a_command_is_kept(flows: dict[str, Flow], name: str) -> None:
    """Every word that the help tells the user to say, between quotation marks, means something."""
    said = re.findall(r'"([^"]+)"', flows[name].commands["help"].say)
    assert said
    for word in said:
        session = talk_in(flows[name], FakeDoctor())
        list(session.start())
        known = flows[name].spoken(word) is not None
        events = list(session.send(word))
        assert known or not {"static_idk_msg", "retry_name"} & set(visited(events)), word


def visited(events: Iterable[Event]) -> list[str]:
    return [event.node for event in events if isinstance(event, Entered)]


def talk(flow: Flow, *messages: str) -> tuple[Session, list[str]]:
    """Hold a conversation; return the session and the replies."""
    session = talk_in(flow, FakeDoctor(["Rest ", "and drink water."]))
    return session, [session.say(message) for message in messages]


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("When are you open?", "hours"), ("how late are you open", "hours"), ("open on Sunday??", "hours"),
        ("where are you", "address"), ("how do I get to you", "address"), ("can I park there", "parking"),
        ("is there a lift", "wheelchair"), ("I need an appointment", "appointment"), ("book", "appointment"),
        ("I'd like to see a doctor", "appointment"), ("cancel my appointment", "cancelling"),
        ("my appointment, can I cancel it?", "cancelling"), ("I'm running late", "cancelling"),
        ("repeat prescription please", "prescriptions"), ("are my results in", "results"),
        ("how much is it", "prices"), ("do you take my insurance", "prices"),
        ("what should I bring", "documents"), ("sprechen Sie Deutsch?", "language"),
        ("do you have an interpreter", "language"),
        ("your phone number", "contact"), ("are you a robot", "robot"), ("I have a headache", "health"),
        ("help", "help"), ("thanks", "thanks"), ("ok", "ok"), ("yes please", "yes"),
    ],
)  # fmt: skip
def test_the_faq_answers(flows: dict[str, Flow], message: str, answer: str) -> None:
    """Each subject in several wordings; the answer is the one meant, and the conversation goes on."""
    session = talk_in(flows["faq"], FakeDoctor())
    list(session.start())
    assert visited(session.send(message))[-2] == f"ans_{answer}"
    assert session.state.status == "listening"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("are you open now? my chest hurts", "emergency"), ("blood in my stool on Sunday", "health"),
        ("my head has hurt for two hours", "health"), ("I train a lot and my knee hurts", "health"),
        ("how much ibuprofen can I take", "health"), ("my period might be late", "health"),
        ("my contact lenses hurt", "health"), ("I can't open my left eye", "health"),
        ("I hurt my hand in the car door", "health"), ("my stitches opened", "emergency"),
        ("heavy lifting gave me back pain", "health"), ("a wasp stung me in the car park", "health"),
        ("I get out of breath on the stairs", "health"), ("stepped on a nail in the car park", "health"),
        ("my chest feels odd, when do you close?", "health"), ("close up things look blurry", "health"),
        ("how do I get to you, my foot is numb", "health"), ("what is the highest number of pills", "health"),
        ("are you close to the station", "address"), ("no car, is there a tram?", "address"),
        ("I need my pills renewed", "prescriptions"), ("can you refill my insulin", "prescriptions"),
        ("results of my knee X-ray", "results"), ("what does an X-ray of my knee cost", "prices"),
        ("can I move my appointment", "cancelling"), ("stuck in traffic, will be late", "cancelling"),
        ("where do I park my car", "parking"), ("my dad cannot climb stairs", "wheelchair"),
        ("how late are you open on Fridays", "hours"), ("what's your number", "contact"),
    ],
)  # fmt: skip
def test_the_faq_tells_complaints_from_questions_about_the_clinic(
    flows: dict[str, Flow], message: str, answer: str
) -> None:
    """Complaints come first, whatever words of the clinic are in them; a body in a question hides nothing."""
    assert visited(talk_in(flows["faq"], FakeDoctor()).send(message))[-2] == f"ans_{answer}"


@pytest.mark.parametrize(
    "message", ["bye", "no", "nothing", "no thanks", "thanks, bye", "That's all.", "see ya"]
)
@pytest.mark.parametrize("name", ["faq", "clinic"])
def test_a_goodbye_ends_it(flows: dict[str, Flow], name: str, message: str) -> None:
    """Who is done is let go, in whatever words."""
    session, (*_, reply) = talk(flows[name], "hello", message)
    assert session.state.status == "ended"
    assert "Goodbye" in reply


ANSWERS = ("Ada", "36", "sore throat", "two weeks")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Ada", "Ada"), ("my name is Ada", "Ada"), ("My name's Ada Byron.", "Ada Byron"), ("I'm Ada!", "Ada"),
        ("Hi, I'm Ada", "Ada"), ("call me O'Brien", "O'Brien"), ("it's Ada", "Ada"),
        ("山田 花子", "山田 花子"), ("Imogen", "Imogen"), ("Jean-Luc", "Jean-Luc"), ("नमिता", "नमिता"),
        ("  Ada  ", "Ada"),
    ],
)  # fmt: skip
def test_the_form_finds_the_name(flows: dict[str, Flow], typed: str, name: str) -> None:
    """The name is read back without what was said around it."""
    _, replies = talk(flows["intake"], typed, *ANSWERS[1:])
    assert f"You are {name}, 36." in replies[-1]


@pytest.mark.parametrize(
    "typed", ["ok", "idk", "no", "hello", "what?", "I have a headache", "Ada, 36", "", "👍"]
)
def test_the_form_takes_nothing_else_for_a_name(flows: dict[str, Flow], typed: str) -> None:
    """What is no name is asked for again, with an example."""
    session, (reply,) = talk(flows["intake"], typed)
    assert session.state.node == "ask_name"
    assert "What is your name?" in reply


@pytest.mark.parametrize(
    ("typed", "age"),
    [("36", 36), ("I'm 36", 36), ("36yo", 36), ("0", 0), ("I turned 120!", 120), ("3.5", 3.5)],
)
def test_the_form_finds_the_age(flows: dict[str, Flow], typed: str, age: float) -> None:
    """Ages from 0 to 120 are found in a sentence."""
    session, _ = talk(flows["intake"], "Ada", typed)
    assert session.state.memory["age"] == age
    assert session.state.node == "ask_symptom"


@pytest.mark.parametrize(
    "typed", ["121", "-1", "old", "thirty six", "1987", "6 months", "idk", "", "the 3rd"]
)
def test_the_form_takes_nothing_else_for_an_age(flows: dict[str, Flow], typed: str) -> None:
    """Other numbers, and words, are asked for again; nothing of them is kept."""
    session, (_, reply) = talk(flows["intake"], "Ada", typed)
    assert session.state.node == "ask_age"
    assert "age" not in session.state.memory
    assert len(reply) > len("How old are you, Ada?")


@pytest.mark.parametrize(
    "typed",
    ["since monday", "two weeks", "yesterday", "3", "about a month", "a while", "all my life", "since 2019"],
)
def test_the_form_takes_times(flows: dict[str, Flow], typed: str) -> None:
    """A number, or a word of time, is a duration."""
    _, replies = talk(flows["intake"], *ANSWERS[:3], typed)
    assert f"How long: {typed}." in replies[-1]


@pytest.mark.parametrize("typed", ["idk", "yes", "long story", "", "?", "no idea", "ouch"])
def test_the_form_takes_nothing_else_for_a_time(flows: dict[str, Flow], typed: str) -> None:
    """What has neither is asked for again."""
    session, _ = talk(flows["intake"], *ANSWERS[:3], typed)
    assert session.state.node == "ask_duration"


CHANGES = {"name": "Eda", "age": "37", "symptom": "a cough", "duration": "a month"}


@pytest.mark.parametrize("before", list(itertools.permutations(CHANGES, 2)), ids=" ".join)
@pytest.mark.parametrize("at_once", [True, False])
def test_changing_one_answer_keeps_the_others(
    flows: dict[str, Flow], before: tuple[str, str], at_once: bool
) -> None:
    """Any two answers, one after the other, are changed without being asked for the rest again."""
    said = list(ANSWERS)
    for field in before:
        said += [f"no, the {field} is wrong"] if at_once else ["no", field]
        said.append(CHANGES[field])
    session, replies = talk(flows["intake"], *said)
    wanted = {**dict(zip(CHANGES, ANSWERS, strict=True)), **{field: CHANGES[field] for field in before}}
    assert (
        "You are {name}, {age}. What troubles you: {symptom}. How long: {duration}.".format(**wanted)
        in replies[-1]
    )
    session.say("yes")
    assert session.state.status == "ended"


@pytest.mark.parametrize(
    ("messages", "end"),
    [
        ((*ANSWERS, "yes"), "complete"),
        (("Ada", "cancel"), "cancelled"),
        (("Ada", "I want to die"), "emergency"),
    ],
)
def test_the_form_ends_by_name(flows: dict[str, Flow], messages: tuple[str, ...], end: str) -> None:
    """Alone it ends as the flow around it would be told."""
    session = talk_in(flows["intake"], FakeDoctor())
    for message in messages:
        *_, last = session.send(message)
    assert isinstance(last, Ended)
    assert last.outcome == end


@pytest.mark.parametrize(
    "question", ["are you a doctor?", "are you a real doctor", "who are you", "are you human?"]
)
def test_it_never_claims_to_be_a_doctor_or_a_person(flows: dict[str, Flow], question: str) -> None:
    """Who asks is told that this is an AI; the model is not asked."""
    doctor = FakeDoctor()
    reply = talk_in(flows["clinic"], doctor).say(question)
    assert "I am an AI" in reply
    assert "doctor" in reply
    assert doctor.asked == []


@pytest.mark.parametrize(
    "message",
    ["I have a headache", "thanks, and what helps against a cold?", "are my headaches dangerous?", "fever?",
     "my name is Ada and I have had a rash for a week"],
)  # fmt: skip
def test_health_goes_to_the_doctor(flows: dict[str, Flow], message: str) -> None:
    """Questions about health are asked of the model, small words around them or not."""
    doctor = FakeDoctor()
    session = talk_in(flows["clinic"], doctor)
    session.say(message)
    assert doctor.asked == [message]
    assert session.state.status == "listening"


@pytest.mark.parametrize(
    "message",
    ["ok", "bye", "thanks", "what?", "help", "I need help", "I need a human", "appointment", "how are you"],
)
def test_small_words_never_reach_the_doctor(flows: dict[str, Flow], message: str) -> None:
    """What is no question about health is answered without the model."""
    doctor = FakeDoctor()
    talk_in(flows["clinic"], doctor).say(message)
    assert doctor.asked == []


def test_the_name_from_the_form_is_used_afterwards(flows: dict[str, Flow]) -> None:
    """The form's answers are said in later texts; before, no empty place is shown."""
    session, replies = talk(
        flows["clinic"], "hello", "appointment", *ANSWERS, "yes", "how old am I?", "I am cold"
    )
    assert "{" not in "".join(replies)
    assert replies[-2].startswith("You told me that you are Ada, 36.")
    assert replies[-1].endswith(", Ada?")
    assert session.state.node == "ask_by_name"


def test_a_silent_doctor_is_excused(flows: dict[str, Flow]) -> None:
    """A model that says nothing for too long is left, and the conversation goes on."""

    class Silent(FakeDoctor):
        def answer(self, *_: Any, **__: Any) -> Iterator[str]:
            time.sleep(5)
            yield "too late"

    flow = flows["clinic"]
    hasty = replace(flow.nodes["ask_doctor"], timeout=0.05)
    session = talk_in(replace(flow, nodes={**flow.nodes, "ask_doctor": hasty}), Silent())
    assert "at the moment" in session.say("I have a headache")
    assert session.state.node == "ask_more"


@pytest.mark.parametrize(
    ("name", "node", "status"),
    [("faq", "ask_if_safe", "listening"), ("clinic", "ask_if_safe", "listening"), ("intake", "", "ended")],
)
def test_after_an_emergency_no_question_of_before_goes_on(
    flows: dict[str, Flow], name: str, node: str, status: str
) -> None:
    """From wherever it was, the conversation stays open at a node of its own; the form alone ends."""
    for place in listening(flows[name]):
        session = session_at(flows[name], place)
        session.say(EMERGENCIES[0])
        assert session.state.status == status, place
        assert node in ("", session.state.node), place


@pytest.mark.parametrize(("name", "after"), [("faq", "ask"), ("clinic", "ask_by_name")])
def test_after_an_emergency_nothing_goes_on_by_itself(flows: dict[str, Flow], name: str, after: str) -> None:
    """Whatever is said, but for words that all is well, gets the emergency numbers again, and no model."""
    for message in (
        "I have a headache",
        "appointment",
        "are you a doctor",
        "bye",
        "ok",
        "I am not safe",
        "no",
    ):
        doctor = FakeDoctor()
        session = session_at(flows[name], "ask_if_safe", doctor)
        assert "112" in session.say(message)
        assert session.state.node == "ask_if_safe"
        assert doctor.asked == []
    assert "112" not in session.say("false alarm")
    assert session.state.node == after
