"""Mistakes as people make them, one at a time in a good flow: each is told once, at its place, with a way out.

Every plant changes one spot of `planted/clinic.yaml`. Where the program must point stands between
⟦ and ⟧ in the changed text; the marks are taken out before the text is read.
"""

# ruff: noqa: E501 (the plants are tables, which read best a plant a line)

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fsmbot.errors import FlowError
from fsmbot.loader import load_flow, parse_flow

GOOD = Path(__file__).parent / "planted" / "clinic.yaml"
TEXT = GOOD.read_text()
JARGON = re.compile(
    "scalar|\btoken|mapping|sequence|block|stream|NoneType|Traceback|Expected|`str`|indicator|<"
)
"""Words of parsers and programmers that no message should have."""


class Plant(NamedTuple):
    """A mistake: what is written instead of what, what the message must say, whether it must guess."""

    name: str
    old: str
    new: str
    says: str
    guess: str = ""
    also: tuple[str, str] = ("", "")


HANDLERS_AND_TARGETS = [
    Plant("unknown handler", "handler: say\n    text: [", "handler: ⟦sey⟧\n    text: [", "unknown handler 'sey'", "say"),
    Plant("unknown handler, nothing near", "handler: say\n    text: [", "handler: ⟦speech⟧\n    text: [",
          "unknown handler 'speech'; known: ans_emergency, ans_greeting, ask_doctor"),
    Plant("handler in capitals", "handler: say\n    text: [", "handler: ⟦Say⟧\n    text: [", "unknown handler 'Say'", "say"),
    Plant("handler called end", "handler: say\n    text: [", "handler: ⟦end⟧\n    text: [", "unknown handler 'end'"),
    Plant("handler without a value", "handler: say\n    text: [", "handler:⟦⟧\n    text: [",
          "'handler' must be text, but there is no value"),
    Plant("handler as a list", "handler: say\n    text: [", "handler: ⟦[say]⟧\n    text: [", "must be text, not a list"),
    Plant("another tool's word for handler", "handler: say\n    text: [", "⟦type⟧: say\n    text: [", "no key 'type'", "handler"),
    Plant("node named almost like its handler", "  check_medical:\n    th", "  ⟦chek_medical⟧:\n    th",
          "a node's name is its handler's", "check_medical"),
    Plant("unknown target", "next: intake\n", "next: ⟦intak⟧\n", "goes to unknown node 'intak'", "intake"),
    Plant("target in capitals", "next: intake\n", "next: ⟦INTAKE⟧\n", "goes to unknown node 'INTAKE'", "intake"),
    Plant("target with a hyphen", "otherwise: ask_day", "otherwise: ⟦ask-day⟧", "unknown node 'ask-day'", "ask_day"),
    Plant("unknown target, nothing near", "next: intake\n", "next: ⟦xyz⟧\n", "unknown node 'xyz'; known: welcome, ask_user"),
    Plant("unknown target of an outcome", "medical: ask_doctor", "medical: ⟦ask_docter⟧", "outcome 'medical' goes to", "ask_doctor"),
    Plant("end misspelt", "Goodbye., next: end", "Goodbye., next: ⟦ned⟧", "unknown node 'ned'", "end"),
    Plant("End", "Goodbye., next: end", "Goodbye., next: ⟦End⟧", "unknown node 'End'", "end"),
    Plant("another word for the end", "Goodbye., next: end", "Goodbye., next: ⟦exit⟧", "unknown node 'exit'", "end"),
    Plant("unknown on_error of a node", "on_error: sorry\n    next", "on_error: ⟦sory⟧\n    next", "on_error goes to unknown node", "sorry"),
    Plant("unknown on_error of the flow", "on_error: sorry\nmax", "on_error: ⟦sory⟧\nmax", "the flow's on_error goes to", "sorry"),
    Plant("on_error as a map", "on_error: sorry\n    next", "on_error: ⟦{timeout: sorry}⟧\n    next", "'on_error' must be text, not a map"),
    Plant("no next", "  ask_doctor:\n    max_new_tokens: 200\n    timeout: 120\n    retry: {times: 2, wait: 0.5}\n"
          "    on_error: sorry\n    next: intake\n", "  ⟦ask_doctor⟧: {on_error: sorry}\n",
          "has no 'next'; name the node that follows, or 'end'"),
    Plant("empty next", "    next: intake\n", "    next:⟦⟧\n", "'next' must lead to a node's name, but there is no value"),
    Plant("next as an empty map", "next: intake\n", "next: ⟦{}⟧\n", "'next' is empty; name a node, or map each outcome"),
    Plant("next as a list", "next: intake\n", "next: ⟦[intake]⟧\n", "not a list; write intake without the brackets"),
    Plant("target as a list", "medical: ask_doctor", "medical: ⟦[ask_doctor]⟧", "not a list; write ask_doctor without"),
    Plant("next that is true", "next: intake\n", "next: ⟦true⟧\n", "must lead to a node's name, not the boolean true"),
    Plant("on: as in other tools", "    next: intake\n", "    ⟦on⟧: intake\n", "has no setting 'on'", "next"),
    Plant("on: with a map", "    next:\n      medical", "    ⟦on⟧:\n      medical", "has no setting 'on'", "next"),
    Plant("goto", "    next: intake\n", "    ⟦goto⟧: intake\n", "has no setting 'goto'", "next"),
    Plant("on_failure", "    on_error: sorry\n", "    ⟦on_failure⟧: sorry\n", "has no setting 'on_failure'", "on_error"),
]  # fmt: skip

OUTCOMES = [
    Plant("unknown outcome", "medical: ask_doctor", "⟦medcal⟧: ask_doctor", "has no outcome 'medcal'", "medical"),
    Plant("outcome with another name", "medical: ask_doctor", "⟦health⟧: ask_doctor", "has no outcome 'health'", "medical"),
    Plant("unknown outcome of match", "weekday: confirm", "⟦weekdays⟧: confirm", "handler 'match' has no outcome", "weekday"),
    Plant("default instead of otherwise", "otherwise: ask_day", "⟦default⟧: ask_day", "no outcome 'default'", "otherwise"),
    Plant("missing outcome", "    next:\n      medical: ask_doctor\n", "    ⟦next⟧:\n", "does not cover outcome 'medical'; add it, or 'otherwise'"),
    Plant("missing outcomes of match", "    next:\n      weekday: confirm\n      date: confirm\n      otherwise: ask_day\n",
          "    ⟦next⟧:\n      weekday: confirm\n      date: ask_day\n", "does not cover outcomes 'weekend' and 'other'; add them"),
    Plant("surplus otherwise", "other: check_greeting", "other: check_greeting\n      ⟦otherwise⟧: goodbye", "'otherwise' covers nothing"),
    Plant("outcomes of what has one way out", "next: ask_user\n  ask_user", "⟦next⟧: {ok: ask_user}\n  ask_user", "handler 'say' has one way out"),
    Plant("loop without listening", "  static_idk_msg:\n    next: ask_user", "  ⟦static_idk_msg⟧:\n    next: static_idk_msg",
          "the loop static_idk_msg -> static_idk_msg never listens to the user; route it through a listening node"),
    Plant("unreachable node", "other: static_idk_msg", "other: ans_greeting", "node 'static_idk_msg' is never reached",
          also=("  static_idk_msg:", "  ⟦static_idk_msg⟧:")),
    Plant("unreachable nodes in a row", "next: intake\n  intake:", "next: end\n  ⟦intake⟧:",
          "never reached (nor what follows it: ask_day, which_day, confirm, how_old, goodbye)"),
]  # fmt: skip

SETTINGS = [
    Plant("unknown setting", "threshold: 0.4", "⟦treshold⟧: 0.4", "has no setting 'treshold'", "threshold"),
    Plant("unknown setting, nothing near", "threshold: 0.4", "⟦speed⟧: 0.4", "has no setting 'speed'; known: threshold"),
    Plant("setting of what takes none", "  check_greeting:\n", "  check_greeting:\n    ⟦threshold⟧: 0.3\n", "'threshold'; it takes none"),
    Plant("another tool's word for a setting", "prompt: What", "⟦message⟧: What", "no setting 'message'", "prompt"),
    Plant("required setting left out", "    handler: match\n    value: visits\n    cases:\n      never: [0]\n",
          "    ⟦handler⟧: match\n    value: visits\n", "needs the setting 'cases', which is a map that is not empty"),
    Plant("number for text", "prompt: What troubles you?", "prompt: ⟦3⟧", "expected text, or a list of one or more texts, not the number 3; put it in quotes"),
    Plant("true for text", "prompt: What troubles you?", "prompt: ⟦true⟧", "not the boolean true; put it in quotes to make it text"),
    Plant("nothing for text", "prompt: What troubles you?", "prompt:⟦⟧ # What troubles you?", "expected text, or a list of one or more texts, but there is no value"),
    Plant("map for text", "prompt: What troubles you?", "prompt: ⟦{en: What?}⟧", "texts, not a map"),
    Plant("placeholder without quotes", "prompt: What troubles you?", "prompt: ⟦{name}⟧", "put a text that begins with '{' in quotes"),
    Plant("number in a list of texts", "prompt: What troubles you?", "prompt: [What?, ⟦3⟧]", "expected text, not the number 3"),
    Plant("empty list of texts", "prompt: What troubles you?", "prompt: ⟦[]⟧", "a list of one or more texts, not an empty list"),
    Plant("text for a number", "threshold: 0.4", "threshold: ⟦high⟧", "expected a number from 0 to 1 (0.5 if left out), not the text 'high'"),
    Plant("number in quotes", "threshold: 0.4", "threshold: ⟦'0.4'⟧", "not the text '0.4'", "0.4"),
    Plant("decimal comma", "threshold: 0.4", "threshold: ⟦0,4⟧", "not the text '0,4'", "0.4"),
    Plant("no digit before the point", "threshold: 0.4", "threshold: ⟦.4⟧", "not the text '.4'", "0.4"),
    Plant("percent", "threshold: 0.4", "threshold: ⟦40%⟧", "not the text '40%'", "0.4"),
    Plant("number too large", "threshold: 0.4", "threshold: ⟦40⟧", "expected a number from 0 to 1 (0.5 if left out), not the number 40"),
    Plant("number too small", "threshold: 0.4", "threshold: ⟦-0.1⟧", "from 0 to 1 (0.5 if left out), not the number -0.1"),
    Plant("whole number too small", "tokens: 200", "tokens: ⟦0⟧", "a whole number of at least 1 (256 if left out), not the number 0"),
    Plant("fraction for a whole number", "tokens: 200", "tokens: ⟦2.5⟧", "expected a whole number of at least 1"),
    Plant("yes for a number", "tokens: 200", "tokens: ⟦yes⟧", "not the text 'yes'"),
    Plant("digits in groups", "tokens: 200", "tokens: ⟦1_000⟧", "not the text '1_000'", "1000"),
    Plant("leading zero", "tokens: 200", "tokens: ⟦0200⟧", "not the text '0200'", "200"),
    Plant("huge number", "tokens: 200", "tokens: ⟦99999999999999999999999⟧", "expected a whole number of at least 1"),
    Plant("number beyond all numbers", "threshold: 0.4", "threshold: ⟦1e999⟧", "expected a number from 0 to 1"),
    Plant("wrong bound of a range", "to: 31}", "to: ⟦31st⟧}", "setting 'cases': expected a number, not the text '31st'"),
    Plant("range the wrong way round", "{from: 1, to: 31}", "⟦{from: 31, to: 1}⟧", "expected 'from' to be no more than 'to'"),
    Plant("unknown key of a range", "to: 31}", "⟦too⟧: 31}", "there is no key 'too' here", "to"),
    Plant("another tool's words for a range", "{from: 1, to: 31}", "{⟦min⟧: 1, ⟦max⟧: 31}", "there is no key", "from"),
    Plant("a case as text", "[saturday, sunday]", "⟦saturday⟧", "expected a list of one or more texts or numbers, or a map with "
          "'from', 'to' or 'only', not the text 'saturday'; write [saturday]"),
    Plant("an empty case", "[saturday, sunday]", "⟦[]⟧", "not an empty list"),
    Plant("true in a case", "[saturday, sunday]", "[saturday, ⟦true⟧]", "expected text or a number, not the boolean true"),
    Plant("a list in a case", "[saturday, sunday]", "[saturday, ⟦[sunday]⟧]", "expected text or a number, not a list"),
    Plant("a case without a name", "never: [0]", "⟦''⟧: [0]", "expected text that is not empty, not the text ''"),
    Plant("cases as a list", "cases:\n      never: [0]", "cases: ⟦[never]⟧", "expected a map that is not empty, not a list"),
    Plant("no cases", "cases:\n      never: [0]", "cases: ⟦{}⟧", "expected a map that is not empty, not an empty map"),
    Plant("list without a space after its dash", "[saturday, sunday]", "\n        ⟦-saturday⟧\n        -sunday", "in a list a '-' needs a space after it"),
    Plant("timeout with a unit", "timeout: 120", "timeout: ⟦120s⟧", "must be a number of seconds above 0, at most 3600", "120"),
    Plant("timeout in words", "timeout: 120", "timeout: ⟦2 minutes⟧", "not the text '2 minutes'", "120"),
    Plant("timeout of nothing", "timeout: 120", "timeout: ⟦0⟧", "above 0, at most 3600, not the number 0"),
    Plant("retry as a number", "retry: {times: 2, wait: 0.5}", "retry: ⟦2⟧", "'retry' must be a map such as {times: 2}, not the number 2"),
    Plant("too many tries", "{times: 2,", "{times: ⟦50⟧,", "'times' must be a whole number from 1 to 10, not the number 50"),
    Plant("waiting backwards", "wait: 0.5", "wait: ⟦-1⟧", "'wait' must be a number of seconds from 0 to 60, not the number -1"),
    Plant("retry without times", "{times: 2, wait: 0.5}", "⟦{wait: 0.5}⟧", "'retry' needs 'times', how often to try again"),
    Plant("unknown key of retry", "{times: 2, wait: 0.5}", "{times: 2, ⟦pause⟧: 1}", "'retry' has no key 'pause'", "wait"),
    Plant("misspelt key of retry", "{times: 2, wait: 0.5}", "{⟦time⟧: 2}", "'retry' has no key 'time'", "times"),
    Plant("unknown resource", "  doctor: {base", "  ⟦docter⟧: {base", "unknown resource 'docter'", "doctor"),
    Plant("unknown setting of a resource", "{base: llama", "{⟦bass⟧: llama", "resource 'doctor' has no setting 'bass'", "base"),
    Plant("wrong setting of a resource", "device: cpu", "device: ⟦0⟧", "expected text, not the number 0; put it in quotes"),
    Plant("path that does not exist", "{base: llama", "{adapter: ⟦gone⟧, base: llama", "gone' does not exist"),
    Plant("resource as text", "{base: llama, device: cpu}", "⟦llama⟧", "its settings must be a map, not the text 'llama'"),
]  # fmt: skip

KEYS = [
    Plant("unknown key", "memory: {name", "⟦memroy⟧: {name", "a flow has no key 'memroy'", "memory"),
    Plant("another tool's word", "memory: {name", "⟦variables⟧: {name", "a flow has no key 'variables'", "memory"),
    Plant("key in capitals", "name: clinic", "⟦Name⟧: clinic", "a flow has no key 'Name'", "name"),
    Plant("no start", "# Takes a complaint in plain words, asks the doctor, and books a day.\nname: clinic\ndescription: Takes"
          " a complaint, asks the doctor, and books an appointment.\nstart: welcome\n", "⟦name⟧: clinic\n",
          "the flow has no 'start'; name the node that comes first"),
    Plant("start misspelt", "start: welcome", "⟦strat⟧: welcome", "a flow has no key 'strat'", "start"),
    Plant("start at an unknown node", "start: welcome", "start: ⟦welcom⟧", "start names unknown node 'welcom'", "welcome"),
    Plant("start at the end", "start: welcome", "start: ⟦end⟧", "start names 'end', where a conversation finishes"),
    Plant("start as a list", "start: welcome", "start: ⟦[welcome]⟧", "'start' must be text, not a list"),
    Plant("start without a value", "start: welcome", "start:⟦⟧", "'start' must be text, but there is no value"),
    Plant("max_steps as text", "max_steps: 40", "max_steps: ⟦forty⟧", "must be a whole number from 1, not the text 'forty'"),
    Plant("memory as a list", "memory: {name: friend, visits: 0}", "memory: ⟦[name, visits]⟧", "'memory' must be a map such as {name: friend}, not a list"),
    Plant("memory as text", "memory: {name: friend, visits: 0}", "memory: ⟦name⟧", "'memory' must be a map such as {name: friend}"),
    Plant("node named end", "ans_greeting: {next: ask_user}", "ans_greeting: {next: ask_user}\n  ⟦end⟧: {handler: say, text: x, next: ask_user}",
          "'end' is the end of every conversation; name the node otherwise"),
    Plant("node with a slash", "ans_greeting: {next: ask_user}", "ans_greeting: {next: a/b}\n  ⟦a/b⟧: {handler: say, text: x, next: ask_user}",
          "name the node without it"),
    Plant("node whose name is a number", "ans_greeting: {next: ask_user}", "ans_greeting: {next: '1'}\n  ⟦1⟧: {handler: say, text: x, next: ask_user}",
          "key 1 is not text; put it in quotes"),
    Plant("node without a name", "ans_greeting: {next: ask_user}", "ans_greeting: {next: ask_user}\n  ⟦''⟧: {handler: say, text: x, next: ask_user}", "a node needs a name"),
    Plant("key without letters", "    threshold: 0.4\n", "    threshold: 0.4\n    ⟦:⟧ 3\n", "a key is missing before this ':'"),
    Plant("node as text", "ans_greeting: {next: ask_user}", "ans_greeting: ⟦ask_user⟧", "must be a map such as {next: end}, not the text", "{next: ask_user}"),
    Plant("node without keys", "ans_greeting: {next: ask_user}", "⟦ans_greeting⟧:", "must be a map such as {next: end}, but there is no value"),
    Plant("node as a list of keys", "  static_idk_msg:\n    next: ask_user", "  static_idk_msg:\n    ⟦-⟧ next: ask_user",
          "not a list; write its keys without '- '"),
    Plant("node twice", "  static_idk_msg:\n", "  ⟦goodbye⟧: {handler: say, text: Bye, next: end}\n  static_idk_msg:\n",
          "key 'goodbye' is given twice; it stands already in line"),
    Plant("key twice", "    remember: complaint\n", "    remember: complaint\n    ⟦prompt⟧: Again?\n", "key 'prompt' is given twice; it stands already in line"),
    Plant("remember on a silent node", "    threshold: 0.4\n", "    threshold: 0.4\n    ⟦remember⟧: x\n", "handler 'check_medical' does not listen; remove it"),
    Plant("remember as a list", "remember: complaint", "remember: ⟦[complaint]⟧", "'remember' must be text, not a list"),
    Plant("remember with a slash", "    prompt: On which", "    remember: ⟦my/day⟧\n    prompt: On which", "a slash leads to what a subflow remembers"),
    Plant("remember where a subflow remembers", "    prompt: On which", "    remember: ⟦intake⟧\n    prompt: On which", "choose another name"),
    Plant("placeholder that nothing remembers", "[\"Hello {name}!\"", "[⟦\"Hello {nam}!\"⟧", "nothing in this flow remembers '{nam}'", "name"),
    Plant("placeholder, nothing near", "text: See you on {day}. You", "text: ⟦See⟧ you on {which}. You", "nothing in this flow remembers '{which}'; known: complaint"),
    Plant("placeholder of a subflow", "prompt: On which day, {intake/age}", "prompt: ⟦On⟧ which day, {intake/aeg}", "remembers '{intake/aeg}'", "intake/age"),
    Plant("value that nothing remembers", "value: visits", "value: ⟦visit⟧", "nothing in this flow remembers 'visit'", "visits"),
    Plant("unknown command", "  restart: {words", "  ⟦restrat⟧: {words", "'commands' has no key 'restrat'", "restart"),
    Plant("unknown command, nothing near", "  restart: {words", "  ⟦cancel⟧: {words", "no key 'cancel'; known: help, restart, repeat, back"),
    Plant("command without words", "restart: {words: [start over, from the beginning]}", "restart: ⟦{say: Again!}⟧", "needs 'words'"),
    Plant("words as text", "{words: [go back]}", "{words: ⟦go back⟧}", "must be a list of texts such as [one, two], not the text 'go back'; write [go back]"),
    Plant("command as a list", "{words: [go back]}", "⟦[go back]⟧", "must be a map such as {words: [start over]}, not a list"),
    Plant("same words twice", "{words: [go back]}", "{words: [⟦Start over!⟧]}", "gives the command 'restart' already"),
    Plant("words that nobody can say", "{words: [go back]}", "{words: [⟦'!'⟧]}", "has no letter or digit"),
    Plant("help without say", "    words: [help, what can you do]\n    say: I answer questions about health, and I book appointments.\n",
          "    ⟦words⟧: [help]\n", "needs 'say', the help itself"),
    Plant("ends with the name of the end", "max_steps: 40", "outcomes: [⟦end⟧]", "an end of the flow cannot be called 'end'"),
    Plant("end although ends are named", "max_steps: 40", "outcomes: [booked]", "but this flow names its ends; choose 'booked'",
          also=("Goodbye., next: end}\n  ans_greeting: {next: ask_user}\n  static_idk_msg:\n    next: ask_user\n  sorry: {handler: say, text: Something went wrong., next: end}", "Goodbye., next: ⟦end⟧}\n  ans_greeting: {next: ask_user}\n  static_idk_msg:\n    next: ask_user\n  sorry: {handler: say, text: Something went wrong., next: ⟦end⟧}")),
]  # fmt: skip

DEPTH = [
    Plant("one space too few", "    remember: complaint\n", "   ⟦remember⟧: complaint\n", "indented by 3 spaces, but line 21 by 2 and line 23 by 4; indent it like one of them"),
    Plant("deeper than a text", "    remember: complaint\n", "      ⟦remember⟧: complaint\n", "indented by 6 spaces, deeper than line 23, which holds a text already; indent it by 4"),
    Plant("node one space too deep", "  ask_user:\n    de", "   ⟦ask_user⟧:\n    de", "indented by 3 spaces, but line 17 by 2 and line 20 by 4"),
    Plant("node one space too far left", "  ask_user:\n    de", " ⟦ask_user⟧:\n    de", "indented by 1 space, but line 16 by 0 and line 17 by 2"),
    Plant("node at the left edge", "  intake:\n", "⟦intake⟧:\n", "begins at the left edge, but those before and after it are indented by 2 spaces"),
    Plant("node in one line at the left edge", "  goodbye: {", "⟦goodbye⟧: {", "begins at the left edge"),
    Plant("last node at the left edge", "  sorry: {", "⟦sorry⟧: {", "'sorry' stands outside of 'nodes'; indent it below that, like the other nodes"),
    Plant("node inside another", "  check_greeting:\n    next: {", "    ⟦check_greeting⟧:\n      next: {", "'check_greeting' stands inside node 'check_medical'; indent it like"),
    Plant("keys beside their node", "  static_idk_msg:\n    next: ask_user", "  static_idk_msg:\n  ⟦next⟧: ask_user", "'next' is indented like 'static_idk_msg'; indent it further"),
    Plant("last key beside its node", "      never: [0]\n    next: goodbye", "      never: [0]\n  ⟦next⟧: goodbye", "'next' is indented like 'how_old'"),
    Plant("outcomes beside next", "      medical: ask_doctor\n      other: check", "    ⟦medical⟧: ask_doctor\n    ⟦other⟧: check", "is indented like 'next'; indent it further"),
    Plant("cases beside cases", "      never: [0]\n", "    ⟦never⟧: [0]\n", "'never' is indented like 'cases'; indent it further"),
    Plant("outcome deeper than the one before", "      other: check_g", "        ⟦other⟧: check_g", "indented by 8 spaces, deeper than line 29"),
    Plant("memory beside memory", "memory: {name: friend, visits: 0}", "memory:\n⟦friend⟧: Ada\n⟦visits⟧: 0", "'friend' is indented like 'memory'; indent it further", also=("{name}", "{friend}")),
    Plant("key that is not at the left edge", "start: welcome", "  ⟦start⟧: welcome", "deeper than line 3, which holds a text already; indent it by 0"),
    Plant("nodes inside resources", "nodes:\n", "  ⟦nodes⟧:\n", "'nodes' stands inside 'resources'; begin its line at the left edge"),
    Plant("tab", "    remember: complaint\n", "⟦\t⟧remember: complaint\n", "a tab; indent with spaces"),
    Plant("tab after spaces", "    remember: complaint\n", "    ⟦\t⟧remember: complaint\n", "a tab; indent with spaces"),
    Plant("no-break space", "    remember: complaint\n", "⟦\u00a0⟧   remember: complaint\n", "a space of another kind (U+00A0); type a plain space"),
]  # fmt: skip

YAML = [
    Plant("alias", "on_error: sorry\n    next: intake", "on_error: ⟦*sorry⟧\n    next: intake", "alias '*sorry' is not allowed; write the value out"),
    Plant("anchor", "prompt: What", "prompt: ⟦&q⟧ What", "anchor '&q' is not allowed; remove it"),
    Plant("tag", "prompt: What", "prompt: ⟦!!str⟧ What", "tag '!!str' is not allowed; remove it"),
    Plant("text with an exclamation mark", "prompt: What", "prompt: ⟦!What⟧", "put a text that begins with '!' in quotes"),
    Plant("merge key", "    remember: complaint\n", "    ⟦<<⟧: {remember: complaint}\n", "merge key '<<' is not allowed; write the keys out"),
    Plant("unclosed quote", "prompt: What troubles you?", "prompt: ⟦'⟧What troubles you?", "the quote that opens here is never closed"),
    Plant("quote that another one closes", "prompt: What troubles you?", "prompt: ⟦\"⟧What troubles you?", "the quote that opens here is closed only in line 59"),
    Plant("apostrophe in single quotes", "What troubles you?", "'What'⟦s⟧ the matter?'", "put a text with ' in it in double quotes"),
    Plant("quotes in quotes", "What troubles you?", "\"Say \"⟦hi⟧\" to me\"", "put a text with \" in it in single quotes"),
    Plant("backslash", "What troubles you?", "\"What⟦\\⟧Users?\"", "a backslash in double quotes"),
    Plant("unclosed bracket", "[monday, tuesday, wednesday, thursday, friday]", "⟦[⟧monday, tuesday", "the '[' that opens here is never closed"),
    Plant("unclosed brace", "{greeting: ans_greeting, other: static_idk_msg}", "⟦{⟧greeting: ans_greeting, other: static_idk_msg", "the '{' that opens here is never closed"),
    Plant("unclosed brace in the last line", "{handler: say, text: Something went wrong., next: end}", "⟦{⟧handler: say, text: Something went wrong., next: end", "the '{' that opens here is never closed"),
    Plant("brace too many", "other: static_idk_msg}", "other: static_idk_msg}⟦}⟧", "one '}' too many; remove it"),
    Plant("wrong bracket", "[saturday, sunday]", "[saturday, sunday⟦}⟧", "'}' closes what '[' opens"),
    Plant("missing comma", "{from: 1, to: 31}", "{from: 1 to⟦:⟧ 31}", "a comma is missing"),
    Plant("value missing between commas", "[saturday, sunday]", "[saturday, ⟦,⟧ sunday]", "a value is missing before this ','"),
    Plant("no colon in braces", "{from: 1, to: 31}", "{⟦from 1⟧, to: 31}", "write `from: 1`, with a colon and a space"),
    Plant("no space after the colon in braces", "{from: 1, to: 31}", "{⟦from:1⟧, to: 31}", "write `from: 1`, with a colon and a space"),
    Plant("no colon", "    threshold: 0.4\n", "    ⟦threshold⟧ 0.4\n", "no ': ' in this line; write `threshold: 0.4`"),
    Plant("no space after the colon", "    threshold: 0.4\n", "    ⟦threshold⟧:0.4\n", "no ': ' in this line; write `threshold: 0.4`"),
    Plant("equals instead of a colon", "    threshold: 0.4\n", "    ⟦threshold⟧ = 0.4\n", "write `threshold: 0.4`"),
    Plant("no colon after a node's name", "  check_greeting:\n", "  ⟦check_greeting⟧\n", "write `check_greeting:`"),
    Plant("no colon in the only key of a node", "  static_idk_msg:\n    next: ask_user", "  static_idk_msg:\n    ⟦next ask_user⟧", "write `next: ask_user`"),
    Plant("full-width colon", "    threshold: 0.4\n", "    ⟦threshold⟧：0.4\n", "write `threshold: 0.4`"),
    Plant("second document", "  goodbye: {", "⟦---⟧\n  goodbye: {", "a second document begins; a file holds one"),
    Plant("document that ends too early", "  goodbye: {", "...\n  ⟦goodbye⟧: {", "the document ends before this"),
    Plant("colon in a text", "What troubles you?", "Tell me⟦:⟧ what troubles you?", "put a text with ':' in it in quotes"),
    Plant("colon in a text in braces", "text: Goodbye.,", "text: Note⟦:⟧ goodbye.,", "the text needs quotes"),
    Plant("comma in a text in braces", "text: Goodbye.,", "text: Goodbye, ⟦friend⟧,", "put a text with a comma in quotes"),
    Plant("two keys in one line", "    threshold: 0.4\n", "    threshold: 0.4, max⟦:⟧ 1\n", "begin a new line for each key"),
    Plant("curly quotes", "What troubles you?", "“Tell me⟦:⟧ what troubles you?”", "the quotes “ ” do not count"),
    *(Plant(f"text that begins with {c}", "What troubles you?", f"⟦{c}you⟧ what?", f"begins? with '\\{c}'.* in quotes|begin with '\\{c}'; put it in quotes")
      for c in "@%`*&"),
    *(Plant(f"text that begins with {c}", "What troubles you?", f"⟦{c}⟧ what?", f"after '\\{c}' a text begins in the next line")
      for c in "|>"),
    Plant("text that begins with a bracket", "What troubles you?", "[What] ⟦troubles⟧ you?", "put a text with brackets in quotes"),
    Plant("text that begins with a placeholder", "What troubles you?", "{name}⟦,⟧ what troubles you?", "put a text with brackets in quotes"),
    Plant("text that begins with a dash", "What troubles you?", "⟦-⟧ what troubles you?", "put a text that begins with '- ' in quotes"),
    Plant("text that begins with a question mark", "What troubles you?", "⟦?⟧ what troubles you?", "a text cannot begin with '?'"),
    Plant("braces twice", "threshold: 0.4", "{⟦{⟧name}}: 0.4", "a key cannot be a list or map"),
    Plant("line of a list without a dash", "[saturday, sunday]", "\n        - saturday\n        ⟦sunday⟧", "must begin with '- '"),
    Plant("key after a list", "commands:\n  help:\n", "commands:\n  - help:\n", "a list begins in line", also=("  restart: {", "  ⟦restart⟧: {")),
    Plant("comment of another language", "nodes:\n", "⟦//⟧ all nodes\nnodes:\n", "a comment begins with '#'"),
    Plant("control character", "What troubles you?", "Whät⟦\x07⟧ troubles you?", "character U+0007 is not allowed; remove it"),
]  # fmt: skip

PLANTS = [*HANDLERS_AND_TARGETS, *OUTCOMES, *SETTINGS, *KEYS, *DEPTH, *YAML]


def mistakes(text: str | bytes, source: Path = GOOD) -> FlowError:
    """Return the error for a flow file that stands beside the good one."""
    with pytest.raises(FlowError) as caught:
        parse_flow(text, str(source))
    return caught.value


def changed(plant: Plant) -> tuple[str, list[tuple[int, int]]]:
    """Return the text with the mistake in it, and the places where it must be reported."""
    marked = TEXT
    for old, new in ((plant.old, plant.new), plant.also):
        assert not old or marked.count(old) == 1, f"{old!r} stands {marked.count(old)} times in the file"
        marked = marked.replace(old, new) if old else marked
    return unmarked(marked)


def unmarked(marked: str) -> tuple[str, list[tuple[int, int]]]:
    """Return a text without its marks, and line and column of each."""
    pieces = marked.replace("⟧", "").split("⟦")
    before = ["".join(pieces[:count]) for count in range(1, len(pieces))]
    return "".join(pieces), [(text.count("\n") + 1, len(text) - text.rfind("\n")) for text in before]


def test_the_good_flow_is_good() -> None:
    """What the plants spoil has no mistake of its own."""
    assert len(load_flow(GOOD).nodes) == 14
    assert len({plant.name for plant in PLANTS}) == len(PLANTS)


@pytest.mark.parametrize("plant", PLANTS, ids=[plant.name for plant in PLANTS])
def test_a_planted_mistake_is_told_once_at_its_place_with_a_way_out(plant: Plant) -> None:
    """Nothing else is blamed, the words are those of a flow's author, and what is near is suggested."""
    text, places = changed(plant)
    problems = mistakes(text).problems
    assert [(p.line, p.column) for p in problems] == places, [p.message for p in problems]
    said = problems[0].message
    assert plant.says in said or re.search(plant.says, said), said
    assert (f"did you mean {plant.guess}?" in said.replace("'", "")) == bool(plant.guess), said
    assert not JARGON.search(said.replace("'<<'", "")), said
    assert all(p.excerpt == text.split("\n")[p.line - 1] for p in problems)


@pytest.mark.parametrize("plant", [*DEPTH, *YAML], ids=[plant.name for plant in [*DEPTH, *YAML]])
def test_pyyaml_without_its_c_parser_is_understood_as_well(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops at the same places, but says so in other words."""
    text, places = changed(plant)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    problems = mistakes(text).problems
    assert [(p.line, p.column) for p in problems] == places, [p.message for p in problems]
    assert plant.says in problems[0].message or re.search(plant.says, problems[0].message)


TOGETHER = (
    "another tool's word", "unknown command", "same words twice", "unknown setting of a resource",
    "another tool's word for handler", "placeholder that nothing remembers", "percent",
    "unknown outcome", "setting of what takes none", "misspelt key of retry", "timeout with a unit",
    "unknown on_error of a node", "target in capitals", "unknown key of a range", "a case as text",
    "default instead of otherwise", "placeholder, nothing near", "value that nothing remembers",
    "exit", "node as text", "last node at the left edge",
)  # fmt: skip


def test_many_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    """One look shows all that must be mended; none hides another, none leads to others."""
    plants = {plant.name: plant for plant in PLANTS}
    plants["exit"] = plants["another word for the end"]
    marked = TEXT
    for name in TOGETHER:
        assert marked.count(plants[name].old) == 1, name
        marked = marked.replace(plants[name].old, plants[name].new)
    text, places = unmarked(marked)
    problems = mistakes(text).problems
    assert [(p.line, p.column) for p in problems] == places
    assert len(problems) == len(TOGETHER) == str(mistakes(text)).count("clinic.yaml:")


def flow_files(folder: Path, intake: str, clinic: str = TEXT) -> tuple[Path, FlowError]:
    """Return the folder's clinic.yaml beside an intake.yaml, and the error for it."""
    (folder / "intake.yaml").write_text(intake)
    (folder / "clinic.yaml").write_text(clinic)
    with pytest.raises(FlowError) as caught:
        load_flow(folder / "clinic.yaml")
    return folder / "clinic.yaml", caught.value


INTAKE = (GOOD.parent / "intake.yaml").read_text()


def test_mistakes_in_a_subflow_are_told_with_its_own_name_and_places(tmp_path: Path) -> None:
    """The node that runs it is named once; a file of its own has lines and columns of its own."""
    marked = INTAKE.replace("prompt: How", "⟦promt⟧: How").replace("read_age\n  read", "⟦read_agee⟧\n  read")
    text, places = unmarked(marked)
    clinic, error = flow_files(tmp_path, text)
    runs = TEXT.split("flow: intake")[0]
    where = (runs.count("\n") + 1, len(runs) - runs.rfind("\n") + len("flow: "))
    found = [(p.source, p.line, p.column) for p in error.problems]
    assert found == [("", *where), *((str(tmp_path / "intake.yaml"), *place) for place in places)]
    assert error.problems[0].message == "node 'intake': flow 'intake.yaml' has 2 mistakes"
    assert "did you mean 'prompt'?" in error.problems[1].message
    assert "    prompt" not in error.pointed()
    assert f"{clinic}:{where[0]}:{where[1]}: " in str(error)


SUBFLOWS = [
    ("flow: intake.yaml", "flow: ⟦intak.yaml⟧", "does not exist in .*; did you mean 'intake.yaml'"),
    ("flow: intake.yaml", "flow: ⟦intake⟧", "must be a file that ends in .yaml or .yml; did you mean 'intake.yaml'"),
    ("flow: intake.yaml", "flow: ⟦../intake.yaml⟧", "must be in this flow's folder or below, named without '..'"),
    ("flow: intake.yaml", "flow: ⟦/etc/intake.yaml⟧", "must be in this flow's folder or below"),
    ("flow: intake.yaml", "flow: ⟦clinic.yaml⟧", "a flow cannot run itself: clinic.yaml -> clinic.yaml"),
    ("flow: intake.yaml", "flow: ⟦3⟧", "'flow' must be text, not the number 3"),
    ("flow: intake.yaml", "flow:⟦⟧", "'flow' must be text, but there is no value"),
    ("{done: ask_day, ", "{⟦don⟧: ask_day, ", "has no outcome 'don'; did you mean 'done'"),
    ("    next: {done: ask_day, declined: goodbye}", "    ⟦next⟧: {done: ask_day}", "does not cover outcome 'declined'"),
    ("    flow: intake.yaml\n", "    flow: intake.yaml\n    ⟦handler⟧: say\n", "'handler' has no meaning here"),
    ("    flow: intake.yaml\n", "    flow: intake.yaml\n    ⟦timeout⟧: 3\n", "whose own nodes may have it; remove it"),
    ("    flow: intake.yaml\n", "    flow: intake.yaml\n    ⟦text⟧: Hello\n", "has no key 'text'; known: flow, next"),
    ("    next: {done: ask_day, declined: goodbye}", "    ⟦on⟧: {done: ask_day, declined: goodbye}", "did you mean 'next'"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says"), SUBFLOWS)
def test_a_mistake_about_a_subflow_is_told_once(tmp_path: Path, old: str, new: str, says: str) -> None:
    """What the subflow would have remembered is not missed, as nobody knows."""
    text, places = unmarked(TEXT.replace(old, new))
    _, error = flow_files(tmp_path, INTAKE, text)
    assert [(p.line, p.column) for p in error.problems] == places, str(error)
    assert re.search(says, error.problems[0].message)


ENDS = [
    ("[done, declined]", "[done, declined, ⟦done⟧]", "the end 'done' is named twice"),
    (
        "[done, declined]",
        "[done, declined, ⟦lost⟧]",
        "no route leads to the end 'lost'; route to it or remove it",
    ),
    (
        "[done, declined]",
        "[done, declined, ⟦ask_age⟧]",
        "is an end of this flow and one of its nodes; rename one",
    ),
    (
        "[done, declined]",
        "⟦done⟧",
        "must be a list of texts such as [one, two], not the text 'done'; write [done]",
    ),
    ("refused: declined", "refused: ⟦end⟧", "but this flow names its ends; choose 'done' or 'declined'"),
    ("refused: declined", "refused: ⟦decline⟧", "unknown node 'decline'; did you mean 'declined'?"),
]


@pytest.mark.parametrize(("old", "new", "says"), ENDS)
def test_a_mistake_about_the_ends_of_a_flow_is_told(old: str, new: str, says: str) -> None:
    """Ends are named once, used, and apart from nodes."""
    text, places = unmarked(INTAKE.replace(old, new))
    problems = mistakes(text, GOOD.parent / "intake.yaml").problems
    assert ((problems[0].line, problems[0].column), says in problems[0].message) == (places[0], True), (
        problems
    )


OUTLINES = [
    ("", "⟦⟧", "the file is empty; a flow file is a map"),
    ("# only a comment\n", "⟦⟧# only a comment\n", "the file is empty"),
    ("a list", "⟦-⟧ name: x\n- start: y\n", "a flow file is a map with the keys"),
    ("a text", "⟦hello⟧", "a flow file is a map with the keys"),
    ("no nodes", "⟦start⟧: ask_user\n", "'nodes' must map each node's name to its keys, but there are none"),
    ("nodes as a list", "start: a\nnodes:\n  ⟦-⟧ name: a\n    next: end\n", "not a list"),
    ("nodes without indentation", "start: a\nnodes:\n⟦a⟧: {handler: say, text: x, next: end}\n", "'a' is indented like 'nodes'"),
    ("a JSON file without a comma", '{\n "start": "a"\n ⟦"⟧nodes": {"a": {"handler": "ask_user", "next": "end"}}}', "a comma is missing before this"),
    ("a JSON file that is cut off", '⟦{⟧"start": "a", "nodes": {"a": {"handler": "ask_user", "next": "end"}}', "never closed"),
    ("a JSON file with a wrong value", '{"start": "a", "nodes": {"a": {"handler": "ask_user", "prompt": ⟦3⟧, "next": "end"}}}', "expected text"),
    ("a JSON file with two braces too many", '{"start": "a", "nodes": {"a": {"handler": "ask_user", "next": "end"}}}⟦}⟧}', "one '}' too many"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("marked", "says"), [case[1:] for case in OUTLINES], ids=[case[0] for case in OUTLINES]
)
def test_a_file_that_is_no_flow_is_told_so(marked: str, says: str) -> None:
    """Empty files, lists, JSON with a slip: one message, and what a flow file is."""
    text, places = unmarked(marked)
    problems = mistakes(text).problems
    assert [(p.line, p.column) for p in problems] == places, problems
    assert says in problems[0].message


@pytest.mark.parametrize("encode", [
    lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: text.replace("\n", "\r").encode(),
    lambda text: text.encode("utf-8-sig"),
    lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
], ids=["Windows", "old Macintosh", "with a mark at its beginning", "both"])  # fmt: skip
@pytest.mark.parametrize("name", ["unknown target", "unclosed bracket", "control character", "unknown key"])
def test_line_ends_and_byte_order_marks_change_no_place(name: str, encode: Callable[[str], bytes]) -> None:
    """Files written on other systems have the same lines and columns, and show the same lines."""
    text, places = changed(next(plant for plant in PLANTS if plant.name == name))
    problems = mistakes(encode(text)).problems
    assert [(p.line, p.column) for p in problems] == places
    assert [p.excerpt for p in problems] == [text.split("\n")[line - 1] for line, _ in places]


def test_bytes_that_are_not_utf8_are_told_with_their_place() -> None:
    """Line and column count characters before the byte; a file in UTF-16 is told at its first byte."""
    text, places = unmarked(TEXT.replace("What troubles you?", "Wo drückt’s, Größe⟦¤⟧?"))
    data = text.encode().replace("¤".encode(), b"\xa4")
    assert [(p.line, p.column) for p in mistakes(data).problems] == places
    assert mistakes(data).problems[0].message == "byte 0xa4 is not UTF-8; save the file as UTF-8"
    assert (
        mistakes(TEXT.encode("utf-16")).problems[0].line,
        mistakes(TEXT.encode("utf-16")).problems[0].column,
    ) == (1, 1)


@pytest.mark.parametrize(
    ("before", "room"),
    [
        ("abc", " " * 3),
        ("a\tb", " \t "),
        ("名前", " " * 4),
        ("e\u0301e", " " * 2),
        ("❤️👍", " " * 3),
        ("\u200bx", " "),
    ],
    ids=["letters", "tab", "wide letters", "accent of its own", "emoji", "letter without width"],
)
def test_the_caret_stands_below_the_column(before: str, room: str) -> None:
    """Tabs, wide letters and marks that take no room are counted as a terminal shows them."""
    head = "  ask: {handler: ask_user, prompt: "
    error = mistakes(f"start: ask\nnodes:\n{head}{before}, nxt: end}}\n")
    message, line, caret = error.pointed().splitlines()
    assert f":3:{len(head + before) + 3}: node 'ask'" in message
    assert line == f"    {head}{before}, nxt: end}}"
    assert caret == "    " + " " * len(head) + room + "  ^"


def test_a_very_long_line_is_cut_around_its_mistake() -> None:
    """A hundred characters are shown, with the mistake among them and the caret below it."""
    text, places = unmarked(
        f"start: a\nnodes: {{a: {{handler: say, text: {'x' * 5000}, ⟦nxt⟧: end, description: {'y' * 5000}}}}}"
    )
    error = mistakes(text)
    _, line, caret = error.pointed().splitlines()
    assert [(p.line, p.column) for p in error.problems] == places
    assert len(line) == 104
    assert line[caret.index("^") :].startswith("nxt: end, description: yyy")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(TEXT.splitlines()),
    st.sampled_from(["", "\t", " ", ":", "'", '"', "{", "]", "- ", "#", "&", "? ", "| ", ": x", "\x00"]),
    st.integers(0, 60),
)
def test_any_slip_in_any_line_is_told_within_the_file(line: str, slip: str, column: int) -> None:
    """Whatever is put wherever, what is told stands in the file, and nothing but FlowError comes."""
    broken = TEXT.replace(line, line[:column] + slip + line[column + 1 :])
    with contextlib.suppress(FlowError):
        parse_flow(broken, str(GOOD))
        return
    lines = broken.split("\n")
    for problem in mistakes(broken).problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.message[-1] not in " ;,"
        assert "'" in problem.message or len(problem.message) > 10
