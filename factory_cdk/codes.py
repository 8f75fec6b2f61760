"""Every diagnostic code, its severity and its title. A code never changes its meaning and is never reused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from factory_cdk.diagnostics import Severity

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTICE


@dataclass(frozen=True, slots=True)
class Code:
    """A diagnostic code: how severe it is and what it stands for in a few words."""

    code: str
    severity: Severity
    title: str


_TABLE: tuple[tuple[str, Severity, str], ...] = (
    # F0: the file and its YAML
    ("F001", _E, "the plan's file does not exist"),
    ("F002", _E, "the plan's file cannot be read"),
    ("F003", _E, "the plan is a folder"),
    ("F004", _E, "the plan is too large"),
    ("F005", _E, "the plan is not UTF-8 text"),
    ("F006", _E, "the plan is empty"),
    ("F010", _E, "the YAML does not parse"),
    ("F011", _E, "a tab in the indentation"),
    ("F012", _E, "a key stands twice in one mapping"),
    ("F013", _E, "a YAML tag"),
    ("F014", _E, "aliases expand to too much"),
    ("F015", _E, "an alias without an anchor, or inside its own anchor"),
    ("F016", _E, "a key is no text"),
    ("F017", _E, "more than one YAML document"),
    ("F018", _E, "the YAML is nested too deeply"),
    ("F019", _E, "a number that JSON cannot hold"),
    ("F020", _E, "a merge key that merges no mapping"),
    ("F021", _W, "a number or truth that YAML reads otherwise than it looks"),
    ("F022", _W, "an ignore comment that silences nothing that can be silenced"),
    ("F023", _W, "an ignore comment for a warning that is not there"),
    # F1: structure
    ("F101", _E, "a required key is missing"),
    ("F102", _E, "an unknown key"),
    ("F103", _E, "a value of the wrong type"),
    ("F104", _E, "a value that is not one of those allowed"),
    ("F105", _E, "the plan is no mapping"),
    ("F106", _E, "a name outside the pattern"),
    ("F107", _E, "an empty mapping or list where something is needed"),
    ("F108", _E, "text that CloudFormation or CDK would evaluate"),
    ("F109", _E, "a secret's value in the plan"),
    ("F110", _E, "a config or secret name that no variable can have"),
    ("F111", _E, "a bot needs either bot_path or command"),
    ("F112", _E, "a number out of bounds"),
    ("F113", _E, "no such stage"),
    ("F114", _E, "a control character where a template cannot hold one"),
    ("F115", _E, "a secret that factory_cdk makes for one sector"),
    # F2: references and sources
    ("F201", _E, "an undefined bot"),
    ("F202", _E, "an undefined workflow"),
    ("F203", _E, "an undefined alarm"),
    ("F210", _E, "a source is exactly one of url, path and pypi"),
    ("F211", _E, "a git url that git would not only fetch from"),
    ("F212", _E, "a git clone option that is not allowed"),
    ("F213", _E, "not a package name"),
    ("F214", _E, "not a package version"),
    ("F215", _E, "a bot_path that is not module.path:attribute"),
    ("F216", _E, "a path that leaves the source"),
    ("F217", _E, "a dotted path that names no class"),
    ("F218", _E, "a git url that holds a password or a token"),
    # F3: workflows and queues
    ("F301", _E, "a workflow outside the grammar"),
    ("F302", _E, "a workflow goes round in a circle"),
    ("F303", _E, "a bot feeds another twice"),
    ("F304", _E, "no edge of the workflow is left on the stage"),
    ("F305", _W, "a bot of the workflow is not on the stage"),
    ("F306", _W, "an ambiguous successor"),
    ("F307", _E, "a queue name that SQS refuses"),
    ("F308", _E, "one queue is read by two different bots"),
    ("F309", _W, "several bots and no workflow"),
    ("F310", _W, "a workflow that no stage uses"),
    ("F311", _W, "a bot that no stage uses"),
    ("F312", _W, "an argument that has no effect with the bot's launcher"),
    # F4: code
    ("F401", _W, "an unpacked bot"),
    ("F402", _W, "an unpinned source"),
    ("F403", _W, "a path source that does not exist"),
    # F5: AWS
    ("F501", _E, "an aws sector lacks parameters, ImageId or InstanceType"),
    ("F502", _E, "a property that AWS::EC2::Instance does not have"),
    ("F503", _E, "a property of a type that CloudFormation cannot coerce"),
    ("F504", _E, "a property's value that CloudFormation refuses"),
    ("F505", _E, "a property that factory_cdk sets itself"),
    ("F506", _E, "no such region"),
    ("F507", _E, "an alarm property that CloudWatch refuses"),
    ("F508", _E, "an alarm on a local sector"),
    ("F509", _E, "a tag that AWS refuses"),
    ("F510", _W, "an id of unusual length"),
    ("F511", _E, "two names that become one on AWS"),
    ("F512", _E, "no region for an aws sector"),
    ("F513", _E, "a key that a local sector does not have"),
    ("F514", _W, "an alarm that no sector uses"),
    # F6: limits of AWS
    ("F601", _E, "user-data over EC2's limit"),
    ("F602", _E, "a sector that is too large for a stack of its own"),
    ("F603", _E, "a role policy over IAM's limit"),
    ("F604", _E, "a parameter over SSM's limit"),
    ("F605", _W, "sectors spread over several stacks without a lock"),
    ("F606", _E, "stages that expand to too much"),
    # F7: lint
    ("F701", _W, "a literal secret"),
    ("F702", _W, "a policy that allows everything"),
    ("F703", _W, "instance metadata without a session (IMDSv1)"),
    ("F704", _N, "an instance with a public address"),
    ("F705", _W, "an unencrypted volume"),
    ("F706", _W, "a deprecated instance family"),
    ("F707", _W, "an alarm that looks more often than its metric is measured"),
    ("F708", _N, "an alarm that terminates its instance"),
    ("F709", _W, "an alarm action that EC2 does not carry out"),
    ("F720", _E, "something that CDK's validation or cfn-lint calls an error"),
    ("F721", _W, "something that CDK's validation or cfn-lint warns of"),
)

HOLDS_SECRET = frozenset({"F109", "F218", "F701"})
"""Codes of diagnostics whose line in the plan may hold a secret: no report shows such a line."""

CODES: Mapping[str, Code] = {code: Code(code, severity, title) for code, severity, title in _TABLE}
"""Every code by its name, in order."""
