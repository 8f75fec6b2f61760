"""The plan language as a page for people, docs/plan.md, from the JSON Schema that editors get."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from factory_cdk.plan.schema.json_schema import json_schema

_INTRODUCTION = """# The plan

A plan is one YAML file (YAML 1.1, up to 2 MiB) that describes a factory: bots, the stages that run them, and
the workflows between them. `factory-cdk validate --plan FILE` reports every problem in one run;
[diagnostics.md](diagnostics.md) explains each diagnostic, [editors.md](editors.md) is about editors.

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

Names of factories, bots, stages, sectors, workflows and alarms start with a letter and have up to 40 letters, digits,
`_` and `-`. Relative paths are relative to the plan's file. Anchors, aliases and merge keys (`<<`) work everywhere;
at the top level, next to `factory:`, only keys that start with `x-` are allowed, a place for anchors.

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
    "bot": (
        "Exactly one of `bot_path` and `command` is required. [bots.md](bots.md) explains both. A command runs "
        "without a shell, as the exec form of a Dockerfile does: one line is split into arguments, and what only a "
        "shell would understand (several lines, `&&`, `|`, `>`, `$VARIABLE`) is refused. Write `[sh, -c, '…']` to run "
        "a shell."
    ),
    "source": "The keys after `subdirectory` are options of `git clone`, for a `url`.",
    "stage": "Every other key is the name of a sector.",
    "sector": (
        "A `local` sector has no `region_name`, `alarm`, `parameters` and `platform`. In an `aws` sector "
        "`parameters` may have every property of AWS::EC2::Instance except UserData and IamInstanceProfile, which "
        "factory_cdk sets."
    ),
    "arguments": "Leading dashes (`--processes`) and the short forms `p` and `q` are allowed.",
    "secret": "A plan never contains secret values. `secrets: [TOKEN]` is short for `secrets: {TOKEN: null}`.",
}

_WORKFLOWS = """## Workflows

A workflow is a list or a mapping. Below each bot are the bots that get its jobs next: one name, a list, or a mapping of
bots to their successors. A bot may have several predecessors, and a workflow several first bots, but no cycle.

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

An alarm has the properties of AWS::CloudWatch::Alarm, without Dimensions: it watches the instance of its sector. In
`Metrics`, every metric of `AWS/EC2` without `Dimensions` gets the instance, too; other metrics are as you write them.
Actions are `terminate`, `stop`, `reboot`, `recover` or ARNs. The first four need an alarm on one metric of the
instance: CloudWatch refuses them for expressions (metric math, anomaly detection) and for several metrics.
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
    yield "| key | meaning | example |\n|---|---|---|"
    for key, value in described["properties"].items():
        found = definitions[value["$ref"].rpartition("/")[2]] if "$ref" in value else value
        star = " (required)" if key in needed else ""
        example = next(iter(found.get("examples", ())), None)
        shown = "" if example is None else f"`{json.dumps(example, ensure_ascii=False)}`".replace("|", "\\|")
        yield f"| `{key}`{star} | {found['description'].replace('|', chr(92) + '|')} | {shown} |"
    yield ""
