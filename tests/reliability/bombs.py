"""Small files that name a lot of work: for each bomb the files of a folder, the first of which is checked.

Each is under the limits that it is not about, so that it gets as far as it can.
"""

from __future__ import annotations

from collections.abc import Callable

Files = dict[str, str]
BOMBS: dict[str, Callable[[], Files]] = {}
"""The bombs by name."""

ONE = "start: a\nnodes:\n  a: {handler: say, text: hi, next: end}\n"
"""A flow of one node."""

KEYS = 90_000
"""Values in one file that are allowed, nearly."""

NODES = 9_900
"""Nodes in one flow that are allowed, nearly."""

BYTES = 990_000
"""Bytes of one file that are allowed, nearly."""


def bomb(make: Callable[[], str | Files]) -> Callable[[], Files]:
    """Register a bomb; a text alone is that of a flow."""

    def files() -> Files:
        made = make()
        return {"main.yaml": made} if isinstance(made, str) else made

    BOMBS[make.__name__] = files
    return files


def nodes(*lines: str) -> str:
    """Return a flow of these nodes, which begins at n0."""
    return "start: n0\nnodes:\n" + "".join(f"  {line}\n" for line in lines)


def chain(count: int, name: str = "n{}", rest: str = "handler: say, text: hi") -> str:
    """Return a flow of nodes that follow one another."""
    names = [name.format(i) for i in range(count)]
    lines = [f"{a}: {{{rest}, next: {b}}}" for a, b in zip(names, [*names[1:], "end"], strict=True)]
    return nodes(*lines).replace("start: n0", f"start: {names[0]}")


def runs(*names: str) -> str:
    """Return a flow that runs others one after the other."""
    lines = [f"n{i}: {{flow: {name}, next: n{i + 1}}}" for i, name in enumerate(names)]
    return nodes(*lines, f"n{len(names)}: {{handler: say, text: hi, next: end}}")


def many(form: str, count: int, between: str = ",") -> str:
    """Return a form filled with the numbers from 0 in hexadecimal digits."""
    return between.join(form.format(f"{i:x}") for i in range(count))


# Aliases, anchors and tags.


@bomb
def a_billion_laughs() -> str:
    lists = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))
    return "a0: &a0 [lol, lol]\n" + lists


@bomb
def aliases_of_a_long_text() -> str:
    return "memory:\n  a: &a " + "x" * 200_000 + "\n" + many("  b{}: *a\n", 50_000, "")


@bomb
def a_list_that_holds_itself() -> str:
    return "memory: &a [*a, *a]\n" + ONE


@bomb
def merge_keys() -> str:
    return "memory: {" + many("k{}: {{<<: 1}}", 20_000) + "}\n" + ONE


@bomb
def anchors() -> str:
    return "memory: [" + many("&a{} 1", 85_000) + "]\n" + ONE


@bomb
def python_tags() -> str:
    return "- !!python/object/apply:os.system [x]\n" * 25_000


@bomb
def a_short_word_for_a_long_tag() -> str:
    return "%TAG !a! tag:x,2000:" + "p" * 400_000 + "\n---\n" + "- !a!x b\n" * 60_000


# Depth.


@bomb
def nested_lists() -> str:
    return "[" * BYTES


@bomb
def nested_lists_line_by_line() -> str:
    return "[\n" * (BYTES // 2)


@bomb
def nested_maps() -> str:
    return "{a: " * (BYTES // 4)


@bomb
def nested_by_indentation() -> str:
    return "".join(" " * i + "a:\n" for i in range(1_380))


@bomb
def nested_dashes() -> str:
    return "- " * (BYTES // 2)


@bomb
def nested_keys() -> str:
    return "? " * (BYTES // 2)


@bomb
def deep_and_wide() -> str:
    return ONE + "memory:\n  a: " + "[" * 36 + many("{}", KEYS) + "]" * 36 + "\n"


# Size.


@bomb
def a_huge_text() -> str:
    return ONE.replace("hi", "h" * BYTES)


@bomb
def a_text_of_escapes() -> str:
    return ONE.replace("hi", '"' + "\\n" * (BYTES // 2) + '"')


@bomb
def a_huge_key() -> str:
    return ONE.replace("a:", "? " + "a" * 900_000 + "\n  :")


@bomb
def a_huge_handler() -> str:
    return ONE.replace("say", "s" * BYTES)


@bomb
def a_huge_number() -> str:
    return ONE + "max_steps: " + "9" * 900_000 + "\n"


@bomb
def a_million_digits_after_the_point() -> str:
    return ONE + "max_steps: 1." + "9" * 900_000 + "\n"


@bomb
def huge_numbers() -> str:
    return "memory:\n  a: [" + many("1e308", 90_000) + "]\n" + ONE


@bomb
def too_many_values() -> str:
    return "memory:\n  a: [" + "1," * (BYTES // 2) + "]\n" + ONE


@bomb
def newlines() -> str:
    return "\n" * BYTES


@bomb
def carriage_returns_before_a_slip() -> str:
    return ONE + "\r" * BYTES + "x"


@bomb
def forbidden_characters_after_many_lines() -> str:
    return "\n" * (BYTES - 20) + "\0" * 20


@bomb
def documents() -> str:
    return "---\n" * (BYTES // 4)


# Many mistakes, and long ones.


@bomb
def unknown_keys() -> str:
    return ONE + many("k{}: 1\n", KEYS // 2, "")


@bomb
def unknown_settings_of_a_node_with_a_long_name() -> str:
    settings = many("k{}", KEYS // 2 - 10)
    return f"start: a\nnodes:\n  {'b' * 1000}: {{handler: say, next: end, {settings}}}\n"


@bomb
def settings_that_look_alike() -> str:
    settings = many("    texttexttext{}: 1\n", 40_000, "")
    return f"start: a\nnodes:\n  a:\n    handler: say\n    next: end\n{settings}"


@bomb
def the_same_key_again_and_again() -> str:
    return "a: 1\n" * (BYTES // 5)


@bomb
def wrong_texts() -> str:
    return "start: a\nnodes:\n  a: {handler: say, next: end, text: [" + many("{}", KEYS) + "]}\n"


@bomb
def wrong_cases() -> str:
    return "start: a\nnodes:\n  a: {handler: match, next: end, cases: {" + many("k{}: [[]]", 30_000) + "}}\n"


@bomb
def nodes_that_are_none() -> str:
    return "start: a\nnodes: {" + many("k{}: 1", KEYS // 2) + "}\n"


@bomb
def unknown_handlers() -> str:
    return nodes(*(f"n{i}: {{handler: sy{i}, next: end}}" for i in range(15_000)))


@bomb
def unknown_targets_among_thousands_of_names() -> str:
    return nodes(*(f"node_number_{i}: {{handler: say, text: x, next: nod_number_{i}}}" for i in range(NODES)))


@bomb
def long_names_that_look_alike() -> str:
    names = ["".join("ab"[i >> b & 1] for b in range(11)) * 9 for i in range(2_000)]
    return nodes(*(f"{name}: {{handler: say, text: hi, next: {name[3:]}}}" for name in names))


@bomb
def unknown_outcomes_among_thousands() -> str:
    cases, routes = many("case_{}: [b]", 15_000), many("kase_{}: end", 15_000)
    return nodes("n0:", "  handler: match", f"  cases: {{{cases}}}", f"  next: {{{routes}, other: end}}")


@bomb
def unknown_names_in_memory_among_thousands() -> str:
    memory, text = many("name_{}: 1", 40_000), many("{{nam_{}}}", 30_000, "")
    return f"memory: {{{memory}}}\n" + ONE.replace("hi", f'"{text}"')


@bomb
def a_quote_that_is_never_closed() -> str:
    return ONE + 'description: "' + "x: y\n  " * (BYTES // 7)


@bomb
def a_bracket_that_is_never_closed() -> str:
    return ONE + "memory: {a: [" + "x,\n  " * (KEYS - 100)


@bomb
def lines_without_a_colon() -> str:
    return "start: a\n" + "no colon here\n" * 70_000


# Texts that patterns do not like.


@bomb
def spaces_in_a_key() -> str:
    keys = many('"a' + " " * 900 + '{}\\nc": 1', 900, ", ")
    return ONE.replace("next: end", f"next: end, {keys}")


@bomb
def a_number_that_is_none() -> str:
    return ONE.replace("next: end", 'next: end, timeout: "' + "1 " * (BYTES // 2 - 100) + '!"')


@bomb
def braces() -> str:
    return ONE.replace("hi", '"' + "{" * (BYTES // 2 - 100) + "a" + "}" * (BYTES // 2 - 100) + '"')


@bomb
def placeholders_that_are_never_closed() -> str:
    return ONE.replace("hi", '"' + "{a" * (BYTES // 2 - 100) + '"')


@bomb
def a_placeholder_of_slashes() -> str:
    return ONE.replace("hi", '"{a' + "/a" * (BYTES // 2 - 100) + '}"')


@bomb
def apostrophes_in_a_command() -> str:
    return 'commands: {back: {words: ["' + "a'" * (BYTES // 2 - 100) + '"]}}\n' + ONE


@bomb
def marks_on_letters() -> str:
    return "commands: {back: {words: [a" + "\u0323\u0301" * (BYTES // 4 - 100) + "]}}\n" + ONE


@bomb
def a_long_case() -> str:
    case = "ab " * 300_000
    return nodes("n0:", "  handler: match", f"  cases: {{a: [{case}]}}", "  next: {a: end, other: end}")


# Graphs.


@bomb
def loops_of_one_node() -> str:
    return nodes(*(f"n{i}: {{handler: say, text: hi, next: n{i}}}" for i in range(NODES)))


@bomb
def loops_on_a_way() -> str:
    step = "handler: match, cases: {{a: [b]}}, next: {{a: n{0}, other: n{1}}}"
    lines = [f"n{i}: {{{step.format(i, i + 1)}}}" for i in range(6_000)]
    return nodes(*lines, "n6000: {handler: say, text: hi, next: end}")


@bomb
def one_long_loop() -> str:
    return chain(NODES).replace("next: end", "next: n0")


@bomb
def a_long_way() -> str:
    return chain(NODES)


@bomb
def too_many_nodes() -> str:
    return chain(10_001)


@bomb
def nodes_that_are_never_reached() -> str:
    return nodes(*(f"n{i}: {{handler: say, text: hi, next: end}}" for i in range(NODES)))


@bomb
def many_ways_into_one_that_is_never_reached() -> str:
    ways = [f"m{i}: {{handler: say, text: hi, next: t0}}" for i in range(NODES // 2)]
    tail = [f"t{i}: {{handler: say, text: hi, next: t{i + 1}}}" for i in range(NODES // 2)]
    last = f"t{NODES // 2}: {{handler: say, text: hi, next: end}}"
    return nodes("n0: {handler: say, text: hi, next: end}", *ways, *tail, last)


@bomb
def one_node_of_many_outcomes() -> str:
    cases, routes = many("c{}: [b]", 15_000), many("c{}: end", 15_000)
    return nodes("n0:", "  handler: match", f"  cases: {{{cases}}}", f"  next: {{{routes}, other: end}}")


@bomb
def ends() -> str:
    return "outcomes: [" + many("o{}", KEYS) + "]\n" + ONE


@bomb
def the_same_end_again_and_again() -> str:
    return "outcomes: [" + "o," * KEYS + "]\n" + ONE


@bomb
def a_route_to_every_end() -> str:
    cases, routes = many("c{}: [b]", 9_000), many("c{0}: o{0}", 9_000)
    match = nodes("n0:", "  handler: match", f"  cases: {{{cases}}}", f"  next: {{{routes}, other: o0}}")
    return "outcomes: [" + many("o{}", 9_000) + "]\n" + match


# Flows in flows.


@bomb
def one_subflow_run_by_thousands() -> Files:
    return {"main.yaml": runs(*["b.yaml"] * 3_000), "b.yaml": ONE}


@bomb
def too_many_runs_of_a_subflow() -> Files:
    return {"main.yaml": runs(*["b.yaml"] * 15_000), "b.yaml": ONE}


@bomb
def hundreds_of_subflows() -> Files:
    names = [f"b{i}.yaml" for i in range(1_000)]
    return {"main.yaml": runs(*names), **dict.fromkeys(names, ONE)}


@bomb
def large_subflows() -> Files:
    names = [f"b{i}.yaml" for i in range(30)]
    return {"main.yaml": runs(*names), **dict.fromkeys(names, chain(3_000))}


@bomb
def subflows_of_nothing_but_comments() -> Files:
    names = [f"b{i}.yaml" for i in range(50)]
    return {"main.yaml": runs(*names), **dict.fromkeys(names, ONE + "# x\n" * (BYTES // 4 - 100))}


@bomb
def broken_subflows() -> Files:
    names = [f"b{i}.yaml" for i in range(50)]
    return {"main.yaml": runs(*names), **dict.fromkeys(names, ONE + many("k{}: 1\n", 1_000, ""))}


@bomb
def one_broken_subflow_run_by_thousands() -> Files:
    return {"main.yaml": runs(*["b.yaml"] * 9_000), "b.yaml": ONE + many("k{}: 1\n", 1_000, "")}


@bomb
def subflows_that_do_not_exist() -> Files:
    there = {f"cat_{i}.yaml": ONE for i in range(500)}
    return {"main.yaml": runs(*(f"bat_{i}.yaml" for i in range(12_000))), **there}


@bomb
def subflows_by_many_names() -> Files:
    return {"main.yaml": runs(*("./" * (i % 400) + "b.yaml" for i in range(2_000))), "b.yaml": ONE}


@bomb
def eight_files_that_run_the_next_thirty_times() -> Files:
    files = {f"f{i}.yaml": runs(*[f"f{i + 1}.yaml"] * 30) for i in range(8)}
    return {"main.yaml": files["f0.yaml"], **files, "f8.yaml": ONE}


@bomb
def a_subflow_that_remembers_much() -> Files:
    inner = "memory: {" + many("k{}: 1", 40_000) + "}\n" + ONE
    return {"main.yaml": runs(*["b.yaml"] * 2_500).replace("text: hi", "text: '{x} {n1/x}'"), "b.yaml": inner}


@bomb
def long_names_eight_levels_deep() -> Files:
    name = "x" * 100
    levels = {f"f{i}.yaml": chain(1, name, f"flow: f{i + 1}.yaml") for i in range(8)}
    return {"main.yaml": levels["f0.yaml"], **levels, "f8.yaml": chain(900, "y" * 90 + "{}")}


@bomb
def a_circle_of_thousands() -> Files:
    return {"main.yaml": runs("b.yaml"), "b.yaml": runs(*["main.yaml"] * 9_000)}


# Test files.


@bomb
def steps() -> Files:
    return {"main.test.yaml": "tests: {a: [" + many("{{user: a}}", 30_000) + "]}\n", "main.yaml": ONE}


@bomb
def steps_that_are_none() -> Files:
    return {"main.test.yaml": "tests: {a: [" + many("{{usr: a}}", 30_000) + "]}\n", "main.yaml": ONE}


@bomb
def visits_of_unknown_nodes() -> Files:
    visits = many("nod_{}", 80_000)
    flow = chain(5_000, "node_{}")
    return {"main.test.yaml": f"tests: {{a: [{{user: a, visits: [{visits}]}}]}}\n", "main.yaml": flow}


@bomb
def outcomes_of_a_node_of_many() -> Files:
    steps = many("{{user: a, outcomes: {{n0: c{}}}}}", 8_000)
    return {"main.test.yaml": f"tests: {{a: [{steps}]}}\n", **one_node_of_many_outcomes()}
