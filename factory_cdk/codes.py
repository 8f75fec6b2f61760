"""Every diagnostic code, its severity and its title. A code never changes its meaning and is never reused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from factory_cdk.diagnostics import Severity

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTICE


@dataclass(frozen=True, slots=True)
class Code:
    """A diagnostic code: how severe it is and its meaning in a few words."""

    code: str
    severity: Severity
    title: str


_TABLE: tuple[tuple[str, Severity, str], ...] = (
    # F0: the file and its YAML
    ("F001", _E, "the plan's file does not exist"),
    ("F002", _E, "the plan's file cannot be read"),
    ("F003", _E, "the plan is a folder"),
    ("F004", _E, "the plan is too large"),
    ("F005", _E, "invalid UTF-8, or a character that YAML does not allow"),
    ("F006", _E, "the plan is empty"),
    ("F010", _E, "YAML syntax error"),
    ("F011", _E, "a tab used for indentation"),
    ("F012", _E, "duplicate key"),
    ("F013", _E, "a YAML tag that is not allowed"),
    ("F014", _E, "aliases that expand to too many values"),
    ("F015", _E, "an undefined or recursive alias"),
    ("F016", _E, "a key that is not text"),
    ("F017", _E, "more than one YAML document"),
    ("F018", _E, "YAML nested too deeply"),
    ("F019", _E, "a number that JSON cannot represent"),
    ("F020", _E, "an invalid merge key"),
    ("F021", _W, "a value that YAML reads as another type than it looks"),
    ("F022", _W, "an invalid ignore comment"),
    ("F023", _W, "an unused ignore comment"),
    ("F024", _E, "a character that only looks like a space, colon, dash or quote"),
    ("F025", _W, "a character that may only look like a space, colon, dash or quote"),
    # F1: structure
    ("F101", _E, "a missing key"),
    ("F102", _E, "an unknown key"),
    ("F103", _E, "a value of the wrong type"),
    ("F104", _E, "an invalid value"),
    ("F105", _E, "the plan is not a mapping"),
    ("F106", _E, "an invalid name"),
    ("F107", _E, "an empty value where something is required"),
    ("F108", _E, "text that CloudFormation or CDK would evaluate"),
    ("F109", _E, "a secret's value in the plan"),
    ("F110", _E, "an invalid or reserved variable name"),
    ("F111", _E, "an invalid command, or not exactly one of bot_path and command"),
    ("F112", _E, "a number out of range"),
    ("F113", _E, "an unknown stage"),
    ("F114", _E, "a control character where templates do not allow one"),
    ("F115", _E, "a secret that belongs to a sector of factory_cdk"),
    ("F116", _E, "a command that needs a shell"),
    ("F117", _W, "an argument that only a shell would expand"),
    # F2: references and sources
    ("F201", _E, "an undefined bot"),
    ("F202", _E, "an undefined workflow"),
    ("F203", _E, "an undefined alarm"),
    ("F210", _E, "an invalid source: not exactly one of url, path and pypi"),
    ("F211", _E, "an unsafe or invalid git URL"),
    ("F212", _E, "a git clone option that is not allowed"),
    ("F213", _E, "an invalid package name"),
    ("F214", _E, "an invalid package version"),
    ("F215", _E, "an invalid bot_path"),
    ("F216", _E, "a path outside the source"),
    ("F217", _E, "an invalid class path"),
    ("F218", _E, "a password or token in a git URL"),
    # F3: workflows and queues
    ("F301", _E, "an invalid workflow"),
    ("F302", _E, "a cycle in a workflow"),
    ("F303", _E, "a duplicate successor"),
    ("F304", _E, "a workflow that has no effect in its stage"),
    ("F305", _W, "a bot of the workflow that is not in the stage"),
    ("F306", _W, "an ambiguous successor"),
    ("F307", _E, "an invalid queue name"),
    ("F308", _E, "one queue for two different bots"),
    ("F309", _W, "several bots and no workflow"),
    ("F310", _W, "an unused workflow"),
    ("F311", _W, "an unused bot"),
    ("F312", _W, "an argument that has no effect with the bot's launcher"),
    ("F313", _E, "a launcher that does not start such a bot"),
    ("F314", _E, "jobs would pass between bots that get theirs from different places"),
    ("F315", _E, "a job that may take longer than SQS lets it"),
    ("F316", _E, "an invalid workflow of steps"),
    ("F317", _E, "an invalid condition of a step"),
    ("F318", _E, "a condition of a step that can never hold"),
    ("F319", _E, "a workflow of steps that the stage cannot run"),
    ("F320", _E, "a step that acquires more than its pool has"),
    # F4: code
    ("F401", _W, "a bot that is not packed"),
    ("F402", _W, "an unpinned source"),
    ("F403", _W, "a source folder that does not exist"),
    ("F404", _W, "a program of a command that cannot be run"),
    # F5: AWS
    ("F501", _E, "an aws sector without parameters, ImageId or InstanceType"),
    ("F502", _E, "an unknown property of AWS::EC2::Instance"),
    ("F503", _E, "a property of the wrong type"),
    ("F504", _E, "an invalid value of a property"),
    ("F505", _E, "a property that factory_cdk sets itself"),
    ("F506", _E, "an unknown region, or regions of different partitions"),
    ("F507", _E, "an invalid alarm"),
    ("F508", _E, "an alarm in a local sector"),
    ("F509", _E, "an invalid tag"),
    ("F510", _W, "an id of unusual length or format"),
    ("F511", _E, "two names that would be the same on AWS"),
    ("F512", _E, "no region for an aws sector"),
    ("F513", _E, "a key that is not allowed in a local sector"),
    ("F514", _W, "an unused alarm"),
    ("F515", _W, "an alarm that does not watch the instance of its sector"),
    ("F516", _E, "an ARN or availability zone of another region"),
    ("F517", _E, "a network interface or address for two instances"),
    ("F518", _W, "a network interface, address or volume that two instances may compete for"),
    ("F519", _W, "one id in two regions"),
    ("F520", _E, "an invalid policy of a sector's role"),
    ("F521", _E, "an invalid entry of `availability`"),
    ("F522", _E, "something that a spot instance cannot have"),
    ("F523", _E, "an offline sector that lacks something, or a Python build that is none"),
    # F6: limits of AWS
    ("F601", _E, "user data over EC2's limit"),
    ("F602", _E, "a sector that is too large for one stack"),
    ("F603", _E, "a role policy over IAM's limit"),
    ("F604", _E, "a config over SSM's limit"),
    ("F605", _W, "sectors in several stacks without a lock"),
    ("F606", _E, "stages that expand to too much"),
    # F7: lint
    ("F701", _W, "a hard-coded secret"),
    ("F702", _W, "a policy that allows everything"),
    ("F703", _W, "instance metadata without session tokens (IMDSv1)"),
    ("F704", _N, "an instance with a public IP address"),
    ("F705", _W, "an unencrypted volume"),
    ("F706", _W, "a deprecated instance type"),
    ("F707", _W, "an alarm that checks more often than its metric is published"),
    ("F708", _N, "an alarm that terminates its instance"),
    ("F709", _W, "an alarm action that has no effect"),
    ("F720", _E, "an error from CDK's validation or cfn-lint"),
    ("F721", _W, "a warning from CDK's validation or cfn-lint"),
)

HOLDS_SECRET = frozenset({"F109", "F218", "F701"})
"""Codes of diagnostics whose line in the plan may contain a secret: no report shows such a line."""

CODES: Mapping[str, Code] = {code: Code(code, severity, title) for code, severity, title in _TABLE}
"""Every code by its name, in order."""
