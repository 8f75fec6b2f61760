"""Random valid plans as plain data: the whole language, for properties that hold for every plan."""

from __future__ import annotations

import re
from typing import Any

from generated_properties import ALARM, INSTANCE, Properties, at_home, just, merged, optional, required
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from repeatable import SOAK


def examples(count: int) -> settings:
    """The settings of a property that is tried on `count` examples."""
    return settings(
        max_examples=count * SOAK,
        # A failure names the plan's text; finding the least of them takes minutes (add Phase.shrink for that).
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        print_blob=False,
    )


ODD_NAMES = ("Ref", "Condition", "y", "no", "Null", "on", "E5", "Resources", "constructor", "toString", "Fn--If", "x-1")
"""Names that YAML, JavaScript or CloudFormation take for something of theirs."""


def _form(name: str) -> str:
    """What names of a kind have to differ in: on AWS, `_`, `-` and case may get lost."""
    return re.sub("[^a-z0-9]", "", name.lower())


NAMES = st.one_of(
    st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{0,8}\Z"),
    st.from_regex(r"\A[A-Za-z][A-Za-z0-9_-]{39}\Z"),
    st.sampled_from(ODD_NAMES),
)
OWN_KEYS = ("workflow", "home_region", "protect", "config", "secrets")
"""The keys of a stage that name no sector."""

BOT_NAMES = st.lists(
    NAMES.filter(lambda name: not name.startswith("Queue") and not name.endswith("-dlq")),
    min_size=1,
    max_size=5,
    unique_by=_form,
)


def named(names: st.SearchStrategy[str], least: int, most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(names, min_size=least, max_size=most, unique_by=_form)


VARIABLES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,6}\Z").map("V{}".format) | st.sampled_from(
    ["A", "B_2", "x" * 128]
)
TEXT = st.text(
    st.one_of(
        st.sampled_from("ab:/-. é#'\"{}[]&*!|>%@`$,?\\\n\t"),
        st.characters(codec="utf-8", exclude_categories=["Cs"]),
    ),
    max_size=12,
).filter(lambda text: "{Token[" not in text and "{{resolve:" not in text)
PRINTED = TEXT.map(lambda text: re.sub("[\0-\x08\v\f\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]", "", text))
"""Text that a template can hold."""
NUMBERS = st.integers(-5, 50_000) | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6, allow_nan=False)
SCALARS = st.booleans() | NUMBERS | TEXT
JSON = st.recursive(
    st.none() | SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | VARIABLES, inner, max_size=3),
    max_leaves=5,
)
META = st.recursive(
    st.none() | st.booleans() | NUMBERS | PRINTED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(VARIABLES, inner, max_size=3),
    max_leaves=5,
)
TAG_TEXT = st.text(st.sampled_from("abcXYZéß日 09_.:/=+@-"), max_size=12)
FACTORY_TAGS = st.dictionaries(
    TAG_TEXT.filter(lambda key: key and not key.lower().startswith("aws:")),
    st.booleans() | st.integers(0, 9) | TAG_TEXT.filter(bool) | st.just("v" * 256),
    max_size=3,
).filter(lambda tags: len({key.casefold() for key in tags}) == len(tags))

SECRET = st.one_of(
    st.none(),
    just(env="TOKEN_OF_MINE"),
    just(profile="default", key="TOKEN"),
    just(profile="two words"),
    just(secret="prod/token"),
    just(secret="arn:aws:secretsmanager:eu-west-2:123456789012:secret:prod/token-AbCdEf", key="TOKEN"),
)
_SECRET_NAMES = VARIABLES.map(lambda name: f"S_{name}"[:128])
SETTINGS = optional(
    config=st.dictionaries(VARIABLES, JSON, max_size=2)
    | st.builds(lambda size: {"LARGE": "é{{" * size}, st.integers(100, 2000)),
    secrets=st.lists(_SECRET_NAMES, max_size=2, unique=True) | st.dictionaries(_SECRET_NAMES, SECRET, max_size=2),
)
SUBDIRECTORY = st.sampled_from(["bots/first", "first", "a b", "./x", "bücher"])
GIT = optional(
    branch=st.sampled_from(["main", 1.1, 20, "feature/x", "v1.0", "yes", "0123456789abcdef0123456789abcdef01234567"]),
    depth=st.integers(1, 9) | st.just(2**31 - 1),
    bare=st.booleans(),
    quiet=st.booleans(),
    verbose=st.booleans(),
    progress=st.booleans(),
    single__branch=st.booleans(),
    no__single__branch=st.booleans(),
    no__tags=st.booleans(),
    recurse__submodules=st.booleans(),
    shallow__submodules=st.booleans(),
    shallow__since=st.sampled_from(["2026-01-01", "two weeks ago"]),
    filter=st.just("blob:none"),
    jobs=st.integers(1, 64),
    origin=st.sampled_from(["origin", "up stream"]),
    no__checkout=st.booleans(),
)
URLS = st.sampled_from(
    ["https://host/repo.git", "ssh://git@host:22/repo", "git@host:repo.git", "file:///srv/répo", "../repo.git"]
)
SOURCES = st.one_of(
    merged(required(url=URLS), GIT, optional(subdirectory=SUBDIRECTORY)),
    merged(
        required(path=st.sampled_from([".", "bots", "../ünï code", "/srv/bots", "~", "$HOME/{{x}}"])),
        optional(subdirectory=SUBDIRECTORY),
    ),
    merged(
        required(pypi=st.sampled_from(["many-bots[fast]", "Many_Bots", "m.b"])),
        optional(version=st.sampled_from(["1.5.9", ">=1,<2", 1.1, 3, "1!2.0rc1+local", "~=1.4"])),
    ),
)
_ARGUMENT = st.text(st.sampled_from("ab -x$\"'é{}日"), max_size=5)
COMMANDS = st.one_of(
    st.sampled_from(["./solve --fast", "python -m 'a b'", "a\\ b", "日本"]).map(lambda line: {"command": line}),
    st.lists(_ARGUMENT, max_size=3).map(lambda rest: {"command": ["./solve", *rest]}),
)
BOT = merged(
    required(source=SOURCES),
    st.sampled_from([{"bot_path": "a.b:c"}, {"bot_path": "paquet.módulo:Klasse.función"}]) | COMMANDS,
    optional(requirements_path=st.sampled_from(["requirements.txt", "deep/er/réqs.txt"])),
    SETTINGS,
)
PYTHON = st.sampled_from(["3.12", 3.11, "3.10.4", "3.9"])
_CLASSES = st.sampled_from(["package.module:Entity", "p:E"])


@st.composite
def arguments(draw: st.DrawFn, queue: str, later: list[str]) -> dict[str, Any] | None:
    """How a sector runs a bot; `queue` may be its queue's name, `later` are bots that its jobs may go to."""
    given: dict[str, Any] | None = draw(
        st.none()
        | merged(
            optional(
                processes=st.integers(1, 20) | st.just(10_000),
                skip__ini=st.booleans(),
                qalx__session__class=_CLASSES,
                user__config__class=_CLASSES,
                bot__config__class=_CLASSES,
                entity__class=_CLASSES,
                stop=st.booleans(),
                meta=st.dictionaries(TEXT, JSON, max_size=2),
                workflow=st.lists(st.sampled_from(later), max_size=2, unique=True) if later else st.just([]),
                max__attempts=st.integers(1, 9) | st.just(1000),
                timeout=st.integers(1, 43_200) | st.floats(0.5, 100, width=16),
                visibility__timeout=st.integers(10, 43_200),
                batch=st.integers(1, 10),
                python=PYTHON,
                queue__name=st.just(queue),
            ),
            SETTINGS,
        )
    )
    return None if given is None else {draw(_spelled(name)): value for name, value in given.items()}


def _spelled(name: str) -> st.SearchStrategy[str]:
    short = {"processes": ["-p", "p"], "queue-name": ["-q", "q"]}.get(name, [])
    return st.sampled_from([name] if name in ("config", "secrets") else [name, f"--{name}", *short])


@st.composite
def workflows(draw: st.DrawFn, bots: list[str]) -> Any:
    """A workflow in one of its spellings: several roots, chains, diamonds; edges lead to later bots only."""
    members = draw(
        st.lists(st.sampled_from(bots), min_size=1, unique=True).map(lambda some: sorted(some, key=bots.index))
    )
    edges = {
        parent: draw(st.lists(st.sampled_from(members[index + 1 :]), max_size=2, unique=True))
        for index, parent in enumerate(members[:-1])
    }
    fed = {child for children in edges.values() for child in children}
    written: set[str] = set()

    def node(bot: str) -> Any:
        children = edges.get(bot, []) if bot not in written else []
        written.add(bot)
        nodes = [node(child) for child in children]
        if not nodes:
            return draw(st.sampled_from([bot, {bot: None}, {bot: []}, [bot]]))
        if all(isinstance(one, dict) for one in nodes) and draw(st.booleans()):
            return {bot: {key: value for one in nodes for key, value in one.items()}}
        return {bot: nodes[0] if len(nodes) == 1 and draw(st.booleans()) else nodes}

    roots = [node(bot) for bot in members if bot not in fed]
    if len(roots) == 1 and isinstance(roots[0], dict) and draw(st.booleans()):
        return roots[0]
    return roots


def edges_of(node: Any, parent: str | None = None) -> set[tuple[str, str]]:
    """The edges that a valid workflow names."""
    match node:
        case str():
            return {(parent, node)} if parent else set()
        case dict():
            own = {(parent, name) for name in node} if parent else set()
            return own.union(*(edges_of(child, name) for name, child in node.items()))
        case list():
            return set().union(*(edges_of(child, parent) for child in node))
    return set()


REGIONS = {
    "aws": ["eu-west-1", "eu-west-2", "us-east-1", "ap-southeast-2"],
    "aws-cn": ["cn-north-1", "cn-northwest-1"],
    "aws-us-gov": ["us-gov-west-1", "us-gov-east-1"],
}


@st.composite
def sectors(draw: st.DrawFn, bots: list[str], alarms: list[str], regions: list[str], *, default: bool) -> Any:
    """A sector; `default` says that it need not name one of the `regions`."""
    queues = {bot: f"Queue{index}_{'q' * (72 if index % 2 else 1)}" for index, bot in enumerate(bots)}
    here = draw(st.lists(st.sampled_from(bots), min_size=1, max_size=4, unique=True))
    found = {
        "bots": {bot: draw(arguments(queues[bot], bots[bots.index(bot) + 1 :])) for bot in here},
        **draw(merged(optional(python=PYTHON), SETTINGS)),
    }
    if draw(st.booleans()):
        return {"type": "local", **found}
    region = st.sampled_from(regions)
    where = optional(region_name=region) if default else required(region_name=region)
    alarm = optional(alarm=st.sampled_from(alarms)) if alarms else st.just({})
    platform = optional(platform=st.sampled_from(["linux", "windows"]))
    return {"type": "aws", **found, **draw(merged(where, alarm, platform)), "parameters": draw(INSTANCE)}


@st.composite
def stages(
    draw: st.DrawFn, bots: list[str], alarms: list[str], flows: dict[str, Any], commands: set[str]
) -> dict[str, Any]:
    """A stage; `commands` are the bots that are programs, which qalx does not start."""
    partition = draw(st.sampled_from(["aws", "aws", "aws", *REGIONS]))
    regions = REGIONS[partition]
    names = draw(named(NAMES.filter(lambda name: name not in OWN_KEYS), 1, 3))
    made = {name: draw(sectors(bots, alarms, regions, default=partition == "aws")) for name in names}
    here = {bot for sector in made.values() for bot in sector["bots"]}
    by_qalx = not here & commands and draw(st.booleans())  # jobs pass between bots of one launcher
    for sector in made.values():
        for bot in sector["bots"]:
            if by_qalx or draw(st.booleans()):
                launcher = "qalx" if by_qalx else draw(st.sampled_from(["python", *["command"] * (bot in commands)]))
                sector["bots"][bot] = {**(sector["bots"][bot] or {}), draw(_spelled("launcher")): launcher}
    fitting = [
        name
        for name, flow in flows.items()
        if not edges_of(flow) or any(parent in here and child in here for parent, child in edges_of(flow))
    ]
    own: Properties = optional(home_region=st.sampled_from(regions), protect=st.booleans())
    workflow = optional(workflow=st.sampled_from(fitting)) if fitting else st.just({})
    return {**draw(merged(own, workflow, SETTINGS)), **made}


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """A plan that is valid, with whatever warnings."""
    bots = draw(BOT_NAMES)
    flows = {name: draw(workflows(bots)) for name in draw(named(NAMES, 0, 2))}
    alarms = {name: draw(ALARM) for name in draw(named(NAMES, 0, 2))}
    defined = {bot: draw(BOT) for bot in bots}
    commands = {bot for bot, said in defined.items() if "command" in said}
    factory: dict[str, Any] = {
        "name": draw(NAMES),
        "bots": defined,
        "stages": {name: draw(stages(bots, list(alarms), flows, commands)) for name in draw(named(NAMES, 1, 2))},
        **({"workflows": flows} if flows or draw(st.booleans()) else {}),
        **({"alarms": alarms} if alarms or draw(st.booleans()) else {}),
        **draw(
            optional(
                meta=st.dictionaries(VARIABLES, META, max_size=2),
                tags=FACTORY_TAGS,
                debug=optional(demolish_on_failure=st.booleans()),
            )
        ),
        **draw(SETTINGS),
    }
    at_home(factory)
    order = draw(st.permutations(list(factory)))
    return {"factory": {key: factory[key] for key in order}, **draw(optional(**{"x-mine": JSON}))}
