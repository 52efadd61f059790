"""Flows become pictures: SVG and PNG with all that is in the flow, and `fsmbot graph` writes them."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fsmbot.cli import main
from fsmbot.drawing.diagram import dot
from fsmbot.drawing.picture import Edge, Picture, Route, Shape, marked, picture
from fsmbot.drawing.render import draw, drawn, form_of
from fsmbot.drawing.visits import visits
from fsmbot.errors import DrawingError, MissingExtra
from fsmbot.events import Entered, Failed, Listening, Routed, to_json
from fsmbot.loader import load_flow

ROOT = Path(__file__).parent.parent
FLOW = str(ROOT / "flows" / "doctor.yaml")
SVG = "{http://www.w3.org/2000/svg}"
TITLE = "{http://www.w3.org/1999/xlink}title"
GREEN, PALE = "#2e7d32", "#cfd8dc"
GREETING = [
    Entered("ask_user"),
    Listening("ask_user"),
    Routed("ask_user", "", "check_medical"),
    Entered("check_medical"),
    Routed("check_medical", "other", "check_greeting", {"score": 0.1}),
    Entered("check_greeting"),
    Routed("check_greeting", "greeting", "ans_greeting"),
    Entered("ans_greeting"),
    Routed("ans_greeting", "", "end"),
]


def parts(svg: bytes, kind: str) -> dict[str, ElementTree.Element]:
    """Return the nodes or edges of an SVG by what is written on them."""
    root = ElementTree.fromstring(svg)
    groups = [group for group in root.iter(f"{SVG}g") if group.get("class") == kind]
    return {written(group): group for group in groups}


def written(group: ElementTree.Element) -> str:
    """Return the text that can be read in a part of an SVG."""
    return "".join(text.text or "" for text in group.iter(f"{SVG}text"))


def tooltip(group: ElementTree.Element) -> str | None:
    """Return what hovering shows."""
    return next(link.get(TITLE) for link in group.iter(f"{SVG}a"))


def stroke(group: ElementTree.Element) -> str | None:
    """Return the colour of the first line drawn."""
    lines = [e for e in group.iter() if e.tag in (f"{SVG}polygon", f"{SVG}path", f"{SVG}ellipse")]
    return lines[0].get("stroke")


def size(png: bytes) -> tuple[int, int]:
    """Return width and height, read off the header of a PNG."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[12:16] == b"IHDR"
    assert png.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_an_svg_shows_every_node_and_outcome() -> None:
    """Names and outcomes can be read; hovering tells what a node does and where a route leads."""
    svg = drawn(picture(load_flow(FLOW)), "svg")
    nodes = parts(svg, "node")
    assert set(nodes) == {
        "", "ask_user", "check_medical", "check_greeting",
        "ask_doctor", "ans_greeting", "static_idk_msg", "end",
    }  # fmt: skip
    assert tooltip(nodes["ask_user"]) == (
        "Ask the user something, and wait for the answer.\nprompt: What would you like to ask?"
    )
    edges = [g for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if g.get("class") == "edge"]
    assert sorted((written(edge).strip(), tooltip(edge)) for edge in edges) == [
        ("", "ans_greeting → end"),
        ("", "ask_doctor → end"),
        ("", "ask_user → check_medical"),
        ("", "start → ask_user"),
        ("", "static_idk_msg → end"),
        ("greeting", "check_greeting → ans_greeting (greeting)"),
        ("medical", "check_medical → ask_doctor (medical)"),
        ("other", "check_greeting → static_idk_msg (other)"),
        ("other", "check_medical → check_greeting (other)"),
    ]


def test_an_svg_stands_on_white_and_changes_only_with_the_flow() -> None:
    """It can be read on a dark page, names no version or other file, and is the same each time."""
    seen = picture(load_flow(FLOW))
    svg = drawn(seen, "svg")
    ground = next(ElementTree.fromstring(svg).iter(f"{SVG}polygon"))
    assert (ground.get("fill"), ground.get("stroke")) == ("white", "none")
    assert svg == drawn(seen, "svg")
    assert b"<!" not in svg
    assert b"raphviz" not in svg


def test_a_png_is_sharp() -> None:
    """It has 144 dots to the inch, twice as many pixels as the SVG has points."""
    seen = picture(load_flow(FLOW))
    width, height = size(drawn(seen, "png"))
    box = ElementTree.fromstring(drawn(seen, "svg")).get("viewBox", "").split()
    assert width == pytest.approx(2 * float(box[2]), abs=4)
    assert height == pytest.approx(2 * float(box[3]), abs=4)


def test_a_long_name_is_broken_into_lines() -> None:
    """After underscores, so that no node is as wide as a page; no letter is lost."""
    name = "check_whether_the_caller_wants_an_appointment_today"
    seen = Picture("p", (Shape("", "start", "start"), Shape("a", name, "decides")), (Edge("", "a", ""),))
    node = parts(drawn(seen, "svg"), "node")[name]
    lines = [text.text or "" for text in node.iter(f"{SVG}text")]
    assert len(lines) == 3
    assert all(line.endswith("_") for line in lines[:-1])


@pytest.mark.parametrize(
    "name",
    [
        'say "hi" <b>&amp;',
        "a & b; c",
        "back\\slash \\N \\G\\",
        "--> <!-- ]]>",
        "{a|b}",
        "%s",
        "ünïcödé 日本 🙂",
    ],
)
def test_hostile_names_are_drawn_as_they_are(name: str) -> None:
    """Quotes, markup, entities and escapes in names, outcomes, groups and titles are plain text."""
    shapes = (
        Shape("", "start", "start", name),
        Shape("a", name, "decides", f"{name}\nmore", (name,)),
        Shape("b", "b", "speaks", name, handler=name),
    )
    svg = drawn(Picture(name, shapes, (Edge("", "a", ""), Edge("a", "b", name)), legend=name), "svg")
    root = ElementTree.fromstring(svg)
    texts = [(text.text or "").replace("\xa0", " ") for text in root.iter(f"{SVG}text")]
    assert texts.count(name) == 5  # title, legend, group, node, handler
    assert f" {name} " in texts
    node = parts(svg, "node")[name]
    assert (tooltip(node) or "").replace("⧵", "\\") == f"{name}\nmore"


def test_control_characters_never_reach_the_picture() -> None:
    """XML cannot hold them, nor should a terminal that shows the DOT text; a mark stands instead."""
    name = "a\x00\x1b[31m\x08\u202eb\nc\ufffe"
    seen = Picture(
        name, (Shape("", "start", "start"), Shape("a", name, "speaks", name)), (Edge("", "a", name),)
    )
    text = drawn(seen, "dot").decode()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "a��[31m��b c�" in parts(drawn(seen, "svg"), "node")


def test_what_was_visited_is_green_and_the_rest_is_pale() -> None:
    """Nodes and routes of the path of a conversation, and a line that counts them."""
    seen = visits(GREETING)
    svg = drawn(marked(picture(load_flow(FLOW)), seen.nodes, seen.routes), "svg")
    colours = {name: stroke(group) for name, group in parts(svg, "node").items()}
    visited = {"", "ask_user", "check_medical", "check_greeting", "ans_greeting", "end"}
    assert {name for name, colour in colours.items() if colour == GREEN} == visited
    assert {name for name, colour in colours.items() if colour == PALE} == {"ask_doctor", "static_idk_msg"}
    edges = [g for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if g.get("class") == "edge"]
    assert {tooltip(edge) for edge in edges if stroke(edge) == PALE} == {
        "check_medical → ask_doctor (medical)",
        "check_greeting → static_idk_msg (other)",
        "ask_doctor → end",
        "static_idk_msg → end",
    }
    assert sum(stroke(edge) == GREEN for edge in edges) == 5
    assert "visited 4 of 6 nodes, 4 of 8 routes" in written(ElementTree.fromstring(svg))


def test_groups_are_framed_and_named() -> None:
    """Every subflow has its frame, an inner one too."""
    shapes = (
        Shape("", "start", "start"),
        Shape("chat/ask", "ask", "listens", group=("chat",)),
        Shape("chat/deep/say", "say", "speaks", group=("chat", "deep")),
    )
    arrows = (Edge("", "chat/ask", ""), Edge("chat/ask", "chat/deep/say", ""))
    svg = drawn(Picture("p", shapes, arrows), "svg")
    assert set(parts(svg, "cluster")) == {"chat", "deep"}


def test_the_chatter_of_graphviz_stays_off_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    """Its warnings are kept back while it draws, and nothing after that."""
    draw("digraph { a [shape=nosuch] }", "svg")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_text_that_is_no_dot_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """In Graphviz's words, as an error and not on the screen, which works again afterwards."""
    with pytest.raises(DrawingError, match=r"^Graphviz cannot draw this: syntax error in line 2"):
        draw("digraph {\n a -> -> b }", "svg")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_without_pygraphviz_text_is_still_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture needs the extra, and the message says which; Mermaid and DOT do not."""
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    seen = picture(load_flow(FLOW))
    with pytest.raises(MissingExtra, match=r"fsmbot\[graph\]"):
        drawn(seen, "svg")
    assert drawn(seen, "dot") == dot(seen).encode()
    assert drawn(seen, "mermaid").startswith(b"flowchart TD\n")


def test_visits_are_read_off_events() -> None:
    """Every event names a node; Routed and Failed tell the routes."""
    seen = visits([*GREETING[:5], Failed("check_greeting", "ValueError: x", "sorry")])
    assert seen.nodes == {"ask_user", "check_medical", "check_greeting"}
    assert seen.routes == {
        Route("ask_user", "", "check_medical"),
        Route("check_medical", "other", "check_greeting"),
        Route("check_greeting", "error", "sorry", failure=True),
    }


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.svg", "svg"), ("a.PNG", "png"), ("a.dot", "dot"),
        ("a.gv", "dot"), ("a.mmd", "mermaid"), ("a.md", "mermaid"),
    ],
)  # fmt: skip
def test_a_files_name_tells_the_form(name: str, form: str) -> None:
    """`--out flow.svg` is enough."""
    assert form_of(Path(name)) == form


def test_a_name_that_tells_no_form_is_refused() -> None:
    """Nobody wants Mermaid text in a file called .jpg."""
    with pytest.raises(DrawingError, match=r"flow.jpg: a picture's name ends in one of \.svg, \.png, "):
        form_of(Path("flow.jpg"))


def test_graph_writes_the_form_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was there is replaced, `--format` outweighs the name, and nothing is printed."""
    seen = picture(load_flow(FLOW))
    out = tmp_path / "flow.svg"
    out.write_text("old" * 100_000)
    assert main(["graph", FLOW, "--out", str(out)]) == 0
    assert out.read_bytes() == drawn(seen, "svg")
    assert main(["graph", FLOW, "-o", str(tmp_path / "flow.png")]) == 0
    assert size((tmp_path / "flow.png").read_bytes()) > (300, 300)
    assert main(["graph", FLOW, "--format", "dot", "-o", str(out)]) == 0
    assert out.read_bytes() == drawn(seen, "dot")
    assert capsys.readouterr() == ("", "")


def test_graph_prints_pictures_into_a_pipe() -> None:
    """SVG and PNG come out as they are, with nothing on stderr."""
    for form in ("svg", "png"):
        command = [sys.executable, "-m", "fsmbot", "graph", FLOW, "--format", form]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout == drawn(picture(load_flow(FLOW)), "svg" if form == "svg" else "png")


def test_a_terminal_gets_no_png(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told to write a file instead, with exit code 2."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["graph", FLOW, "--format", "png"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "a terminal cannot show a PNG; write it to a file: --out flow.png\n"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, with exit code 2."""
    out = tmp_path / "gone" / "flow.svg"
    assert main(["graph", FLOW, "--out", str(out)]) == 2
    assert capsys.readouterr().err == f"{out} cannot be written: No such file or directory\n"


def recorded(folder: Path, *lines: str) -> str:
    """Write lines to a file of events, and return its path."""
    path = folder / "events.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_the_path_of_a_conversation_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From what `--json` printed, or a trace with more keys; other lines are passed over."""
    lines = [to_json(event) for event in GREETING]
    more = [line.replace('{"event"', '{"time":1.5,"turn":{"a":[]},"event"') for line in lines]
    other = ['{"event":"error","message":"x"}', '{"kind":"header"}', "", "no JSON", "[1]"]
    seen = visits(GREETING)
    expected = drawn(marked(picture(load_flow(FLOW)), seen.nodes, seen.routes), "mermaid").decode()
    assert "visited 4 of 6 nodes" in expected
    for content in (lines, [*other, *more, *other]):
        assert main(["graph", FLOW, "--path", recorded(tmp_path, *content)]) == 0
        assert capsys.readouterr().out == expected


def test_the_events_may_be_piped_in() -> None:
    """`fsmbot --json | fsmbot graph --path -` draws what was said just now."""
    talk = [sys.executable, "-m", "fsmbot", "--flow", FLOW, "--json"]
    said = subprocess.run(talk, cwd=ROOT, input=b"hello\n", capture_output=True, timeout=60).stdout
    graph = [sys.executable, "-m", "fsmbot", "graph", FLOW, "--path", "-"]
    done = subprocess.run(graph, cwd=ROOT, input=said, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"class begin,n1,n2,n3,n5,finish visited" in done.stdout


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "there is no event in it; write some with: python -m fsmbot --flow FLOW --json"),
        (['{"event":"error","message":"x"}', '{"event":"routed"}'], "there is no event in it; write some"),
    ],
)
def test_a_file_without_events_is_refused(
    lines: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line that says where events come from, with exit code 2."""
    path = recorded(tmp_path, *lines)
    assert main(["graph", FLOW, "--path", path]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"{path}: {message}")
    assert err.count("\n") == 1


def test_events_of_another_flow_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line is named, and the node that this flow has not."""
    path = recorded(tmp_path, to_json(Entered("ask_user")), "", to_json(Entered("ask_doctr\n\x1b")))
    assert main(["graph", FLOW, "--path", path]) == 2
    assert capsys.readouterr() == (
        "",
        f"{path}:3: the flow has no node 'ask_doctr �'; did you mean 'ask_doctor'?\n",
    )


def test_events_that_cannot_be_read_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is not there and a folder; an empty standard input has no events either."""
    assert main(["graph", FLOW, "--path", str(tmp_path / "gone")]) == 2
    assert main(["graph", FLOW, "--path", str(tmp_path)]) == 2
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert main(["graph", FLOW, "--path", "-"]) == 2
    gone, folder, empty = capsys.readouterr().err.splitlines()
    assert gone == f"{tmp_path}/gone: the events cannot be read: No such file or directory"
    assert folder == f"{tmp_path}: the events cannot be read: Is a directory"
    assert empty.startswith("-: there is no event in it")
