"""`stub:` of a test file: what stands in for nodes and for the doctor."""

from __future__ import annotations

from fsmbot.flow import Flow, Node
from fsmbot.flowfile.yamltree import Tree
from fsmbot.testing.script import Answer, DoctorStub, NodeStub, Stubs
from fsmbot.testing.values import Values

DOCTOR = "doctor"
"""The resource that can be stubbed."""

NODE_KEYS = ("says", "outcome", "fails")
"""The keys of a node's stub."""

_DOCTOR_FORMS = "text, a list of pieces, a map question -> answer, {fails: reason} or {answers: list}"
_NODE_FORMS = "text, a list of pieces, or a map with 'says', 'outcome' or 'fails'"
_ANSWER_FORMS = "text, a list of pieces, or {says: text, fails: reason}"


def asks_doctor(node: Node) -> bool:
    """Whether a node's handler takes the resource `doctor`."""
    return DOCTOR in node.handler.resources


def read_stubs(values: Values, flow: Flow | None, parent: Tree) -> Stubs:
    """Return what the key `stub` of a map holds; mistakes go to `values`.

    flow: None where it could not be read, so that no name is called unknown.
    """
    item = parent.value.get("stub")
    if item is None:
        return {}
    stubs: dict[str, NodeStub | DoctorStub] = {}
    for name, tree in values.mapping(item, "'stub'", parent.keys["stub"]).items():
        stub = _read(values, flow, name, tree, item.keys[name])
        if stub is not None:
            stubs[name] = stub
    return stubs


def _read(
    values: Values, flow: Flow | None, name: str, tree: Tree, key: Tree
) -> NodeStub | DoctorStub | None:
    """Read one stub: `doctor` is the resource wherever a node asks for it."""
    has_doctor = flow is None or any(map(asks_doctor, flow.all_nodes.values()))
    if name == DOCTOR and has_doctor:
        return _doctor(values, tree, key)
    if flow is None:
        return None
    if name not in flow.all_nodes:
        known = [*flow.all_nodes, *([DOCTOR] if has_doctor else [])]
        values.note(key, f"stub: the flow has no node '{name}'" + values.guesses.suggest(name, known))
        return None
    return _node(values, flow.all_nodes[name], tree, key)


def _node(values: Values, node: Node, tree: Tree, key: Tree) -> NodeStub:
    """Read the stub of a node; a plain text, or pieces, is what it says."""
    what = f"the stub of node '{node.name}'"
    if tree.is_map and tree.value:
        values.known_keys(tree, what, NODE_KEYS)
        answer, outcome = _says_and_fails(values, tree, what), _outcome(values, node, tree, what)
        if answer.fails and outcome:
            values.note(tree.keys["outcome"], f"{what} fails, so it has no outcome; remove one of them")
    else:
        answer, outcome = Answer(_pieces(values, tree, what, _NODE_FORMS, key)), ""
    if node.outcomes and not outcome and not answer.fails and "outcome" not in (tree.value or ()):
        names = ", ".join(node.outcomes)
        values.note(key, f"{what} needs an outcome, such as {{outcome: ...}}; known: {names}")
    return NodeStub(answer, outcome)


def _outcome(values: Values, node: Node, tree: Tree, what: str) -> str:
    if "outcome" not in tree.value:
        return ""
    item = tree.value["outcome"]
    name = values.text(item, f"{what}: 'outcome'", tree.keys["outcome"])
    if name is not None:
        check_outcome(values, node, name, item)
    return name or ""


def check_outcome(values: Values, node: Node, name: str, place: Tree) -> bool:
    """Return whether a node has this outcome, and note it otherwise."""
    if node.has_outcome(name):
        return True
    outcomes = node.outcomes
    hint = values.guesses.suggest(name, outcomes) if outcomes else "; it has one way out, so name none"
    values.note(place, f"node '{node.name}' has no outcome '{name}'{hint}")
    return False


def _says_and_fails(values: Values, tree: Tree, what: str) -> Answer:
    says: tuple[str, ...] = ()
    if "says" in tree.value:
        says = _pieces(
            values, tree.value["says"], f"{what}: 'says'", "text or a list of pieces", tree.keys["says"]
        )
    fails = None
    if "fails" in tree.value:
        fails = values.text(tree.value["fails"], f"{what}: 'fails'", tree.keys["fails"])
    return Answer(says, fails or "")


def _pieces(values: Values, tree: Tree, what: str, forms: str, key: Tree | None) -> tuple[str, ...]:
    """Return a text or the texts of a list; `forms` tells what else may stand there."""
    if not isinstance(tree.value, (str, list)):
        values.wrong(tree, f"{what} must be {forms}", key)
        return ()
    return tuple(text for _, text in values.texts(tree, what, key, empty=True))


def _doctor(values: Values, tree: Tree, key: Tree) -> DoctorStub:
    """Read the stub of the doctor: the first form that fits."""
    what = f"the stub of '{DOCTOR}'"
    if not tree.is_map or not tree.value or _is_failing(tree):
        return DoctorStub(in_order=(_answer(values, tree, what, _DOCTOR_FORMS, key),))
    answers = tree.value.get("answers")
    if len(tree.value) == 1 and answers is not None and isinstance(answers.value, list):
        if not answers.value:
            values.note(answers, "'answers' is an empty list; write an answer, or remove it")
        what = "an answer of the doctor"
        return DoctorStub(
            in_order=tuple(_answer(values, item, what, _ANSWER_FORMS, None) for item in answers.value)
        )
    asked = {
        question: _answer(values, item, f"the answer to '{question}'", _ANSWER_FORMS, tree.keys[question])
        for question, item in tree.value.items()
    }
    return DoctorStub(by_question=asked)


def _answer(values: Values, tree: Tree, what: str, forms: str, key: Tree | None) -> Answer:
    """Read one answer: text, pieces, or a failure after what was said."""
    if tree.is_map and _is_failing(tree):
        return _says_and_fails(values, tree, what)
    return Answer(_pieces(values, tree, what, forms, key))


def _is_failing(tree: Tree) -> bool:
    """Whether a map is {fails: reason}, perhaps with `says`, rather than questions and answers."""
    reason = tree.value.get("fails")
    return reason is not None and isinstance(reason.value, str) and set(tree.value) <= {"says", "fails"}
