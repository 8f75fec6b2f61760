"""The plan language as a page for people, docs/plan.md, from the JSON Schema that editors get."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.plan.schema.json_schema import json_schema

_INTRODUCTION = """# The plan

A plan is one YAML file (YAML 1.1, up to 2 MiB) that describes a factory: bots, the stages that run them, and what
follows what. `factory-cdk validate --plan FILE` says everything that is wrong with one;
[diagnostics.md](diagnostics.md) explains each finding, [editors.md](editors.md) how an editor completes the keys below.

```yaml
factory:
  name: workshop
  bots: # where the code comes from
    cut: {source: {path: bots}, bot_path: "cutting:cut"}
    weld: {source: {url: "https://example.com/weld.git", branch: main}, bot_path: "welding:weld"}
  workflows: # which bot gets a job next
    flow: {cut: weld}
  stages: # what runs where
    test:
      workflow: flow
      here: # a sector
        type: local
        bots:
          cut: {processes: 2}
          weld:
```

Names of factories, bots, stages, sectors, workflows and alarms begin with a letter and have up to 40 letters, digits,
`_` and `-`. Relative paths are relative to the plan's file. Anchors, aliases and merge keys (`<<`) work everywhere;
beside `factory:` only keys that begin with `x-` may stand, which is a place for anchors.

This page is generated: `factory-cdk schema --format markdown -o docs/plan.md`.
"""

_SECTIONS = {
    "bot": "A bot",
    "source": "The source of a bot",
    "stage": "A stage",
    "sector": "A sector",
    "arguments": "The arguments of a bot on a sector",
    "secret": "A secret",
}

_NOTES = {
    "bot": "Of `bot_path` and `command` there is one. [bots.md](bots.md) says what they name and how a bot is written.",
    "source": "What follows `subdirectory` are options of `git clone`, for a `url`.",
    "stage": "Every other key is the name of a sector.",
    "sector": (
        "A `local` sector has no `region_name`, `alarm`, `parameters` and `platform`. In an `aws` sector UserData and "
        "IamInstanceProfile are ours; everything else that AWS::EC2::Instance has may stand in `parameters`."
    ),
    "arguments": "Leading dashes (`--processes`) and the short `p` and `q` are taken too.",
    "secret": "A value never stands in a plan. `secrets: [TOKEN]` is short for `secrets: {TOKEN: null}`.",
}

_WORKFLOWS = """## Workflows

A workflow is a list or a mapping; under each bot stand those that get its jobs next: one name, a list, or bots with
what follows them in turn. A bot may be reached on several ways, and there may be several first bots, but no circle.

```yaml
workflows:
  flow:
    - reader:
        - checker
        - solver: {mesher: writer}
    - other_reader: writer
```
"""

_ALARMS = """## Alarms

An alarm has the properties of AWS::CloudWatch::Alarm, without Dimensions: it watches the instance of its sector. Its
actions may be `terminate`, `stop`, `reboot`, `recover` or ARNs.
"""


def page() -> str:
    """The whole page, Markdown."""
    schema = json_schema()
    return "\n".join(_lines(schema["properties"]["factory"], schema["$defs"])) + "\n"


def _lines(factory: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    yield _INTRODUCTION
    yield "## The factory\n"
    yield from _table(factory, definitions)
    for name, title in _SECTIONS.items():
        yield f"## {title}\n"
        yield f"{definitions[name]['description']}. {_NOTES[name]}\n"
        yield from _table(definitions[name], definitions)
    yield _WORKFLOWS
    yield _ALARMS.rstrip()


def _table(described: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    needed = described.get("required", ())
    yield "| key | what it is | for example |\n|---|---|---|"
    for key, value in described["properties"].items():
        found = definitions[value["$ref"].rpartition("/")[2]] if "$ref" in value else value
        star = " (needed)" if key in needed else ""
        example = next(iter(found.get("examples", ())), None)
        shown = "" if example is None else f"`{json.dumps(example, ensure_ascii=False)}`".replace("|", "\\|")
        yield f"| `{key}`{star} | {found['description'].replace('|', chr(92) + '|')} | {shown} |"
    yield ""
