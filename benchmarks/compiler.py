"""Seconds and memory of `validate`, `synth` and `review`, beside the least that could do the same, in one run.

    python benchmarks/compiler.py [--rounds 5] [--sectors 40 400] [--json FILE]

Whole processes are measured, from the shell's point of view. `synth` of N one-bot sectors stands beside a bare CDK
app of typed L1 constructs that emits as many resources and files (bare_l1_app.py), both with CDK's own validation
off and the same Node; `validate` beside a Python that imports yaml, cerberus and click and ends; `review` of a plan,
one line of which differs from its last commit (at 400 sectors each sector), beside `validate` of it. The contestants
take turns, round by round, and ratios are those of their medians. Memory is the largest process of each (Python or
Node).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from figures import Figure, as_text, machine, write_json

from factory_cdk.stacks.node import wheel_node

HERE = Path(__file__).parent
REFERENCE = HERE.parent / "plans" / "reference" / "factory-plan.yml"
IMPORTS = "import yaml, cerberus, click"
REVIEWED = 400
"""Sectors of the plan that is reviewed, beside the reference plan."""
VALIDATED = (500, 1000, 2000)
"""Sectors of the plans that are validated: twice as many must take twice as long."""


@dataclass
class Contestant:
    """A command that is run once a round and ends with the code `status`, and what its runs took."""

    command: list[str]
    status: int = 0
    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run the command once and keep its seconds and its peak memory; end everything when it fails."""
        environment = {**os.environ, "CDK_VALIDATION": "false", "AWS_REGION": "eu-west-2"}
        node = wheel_node()
        if node is not None:
            environment["JSII_NODE"] = str(node)
        start = time.perf_counter()
        process = subprocess.Popen(self.command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds.append(time.perf_counter() - start)
        self.megabytes.append(usage.ru_maxrss / 1024)
        if process.returncode != self.status:
            sys.exit(f"{' '.join(self.command)} failed: {said.decode()[-2000:]}")

    @property
    def median(self) -> float:
        """The median of its seconds."""
        return statistics.median(self.seconds)

    @property
    def peak(self) -> float:
        """The most memory that a run took, in MB."""
        return max(self.megabytes)


def plan(count: int) -> str:
    """A plan of `count` sectors in one region, one bot each, every second bot fed by the one before."""
    parameters = {
        "ImageId": "ami-0123456789abcdef0",
        "InstanceType": "t3.micro",
        "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": "subnet-0123456789abcdef0", "GroupSet": ["sg-01234567"]}],
    }
    bots = {f"bot_{n}": {"source": {"path": f"code/{n}"}, "bot_path": "bots:run"} for n in range(count)}
    sector = {"type": "aws", "region_name": "eu-west-2", "parameters": parameters}
    sectors = {f"box_{n}": {**sector, "bots": {f"bot_{n}": {"processes": 2}}} for n in range(count)}
    flow = {f"bot_{n}": f"bot_{n + 1}" for n in range(0, count - 1, 2)}
    stages = {"dev": {"workflow": "pairs", **sectors}}
    return json.dumps({"factory": {"name": "bench", "bots": bots, "stages": stages, "workflows": {"pairs": flow}}})


def contestants(folder: Path, sizes: list[int]) -> dict[str, Contestant]:
    """Everything that is measured, by name."""
    python = sys.executable
    ours = [python, "-m", "factory_cdk"]
    for count in {*sizes, *VALIDATED}:
        (folder / f"{count}.yml").write_text(plan(count))
    found = {
        IMPORTS: Contestant([python, "-c", IMPORTS]),
        "validate": Contestant([*ours, "validate", "--plan", str(REFERENCE)]),
        "synth": Contestant(
            [*ours, "synth", "-q", "--plan", str(REFERENCE), "--stage", "dev", "-o", str(folder / "reference")]
        ),
    }
    for name, text, was, now in (
        ("reference", REFERENCE.read_text(), "InstanceType: t2.nano", "InstanceType: t2.micro"),
        (str(REVIEWED), plan(REVIEWED), "t3.micro", "t3.small"),
    ):
        file = committed(folder / f"review-{name}", text, was, now)
        found[f"validate reviewed {name}"] = Contestant([*ours, "validate", "-q", "--plan", str(file)])
        found[f"review {name}"] = Contestant([*ours, "review", "--plan", str(file), "--against", "HEAD"], status=2)
    for count in VALIDATED:
        found[f"validate {count}"] = Contestant([*ours, "validate", "--plan", str(folder / f"{count}.yml")])
    for count in sizes:
        app = [python, str(HERE / "bare_l1_app.py"), str(count), str(folder / f"bare-{count}")]
        found[f"bare {count}"] = Contestant(app)
        out = folder / f"ours-{count}"
        command = [*ours, "synth", "-q", "--plan", str(folder / f"{count}.yml"), "--stage", "dev", "-o", str(out)]
        found[f"synth {count}"] = Contestant(command)
    return found


def committed(folder: Path, text: str, was: str, now: str) -> Path:
    """A git work tree whose last commit holds the plan `text`, in which `was` is then replaced by `now`; its file."""
    folder.mkdir()
    file = folder / "factory-plan.yml"
    file.write_text(text)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message", "a plan"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    file.write_text(text.replace(was, now))
    return file


def contents(folder: Path) -> str:
    """How many resources the templates in `folder` have together, and how many files it publishes, in words."""
    resources = sum(len(json.loads(file.read_text())["Resources"]) for file in folder.glob("*.template.json"))
    return f"{resources} resources, {sum(1 for _ in folder.glob('asset.*'))} files"


def figures(measured: dict[str, Contestant], sizes: list[int], folder: Path) -> list[Figure]:
    """What the README says of `measured`."""
    floor, reference = measured[IMPORTS], measured["validate"]
    least, half, whole, double = (measured[name].median for name in ("validate", *(f"validate {n}" for n in VALIDATED)))
    found = [
        Figure(
            "`validate`, reference plan",
            reference.median / floor.median,
            "x",
            3,
            beside=f'{reference.median:.2f} s, beside `python -c "{IMPORTS}"`, {floor.median:.2f} s',
        ),
        Figure(
            "`validate`, 1,000 sectors",
            whole,
            "s",
            3,
            beside=f"500 sectors {half:.2f} s, 2,000 sectors {double:.2f} s",
        ),
        Figure(
            "the second 1,000 sectors beside the first",
            (double - whole) / (whole - least),
            "x",
            beside="linear would be 1x",
        ),
        Figure("`synth`, reference plan's stage dev", measured["synth"].median, "s"),
        *reviews(measured),
    ]
    for count in sizes:
        own, bare = measured[f"synth {count}"], measured[f"bare {count}"]
        goals = (1.2, 1.3) if count == max(sizes) else (None, None)
        made = contents(folder / f"ours-{count}"), contents(folder / f"bare-{count}")
        found += [
            Figure(
                f"`synth`, {count} sectors",
                own.median / bare.median,
                "x",
                goals[0],
                beside=f"{own.median:.2f} s for {made[0]}, beside a bare L1 app, {bare.median:.2f} s for {made[1]}",
            ),
            Figure(
                f"its peak memory, {count} sectors",
                own.peak / bare.peak,
                "x",
                goals[1],
                beside=f"{own.peak:.0f} MB beside {bare.peak:.0f} MB",
            ),
        ]
    return found


def reviews(measured: dict[str, Contestant]) -> Iterator[Figure]:
    """What the README says of `review`."""
    for name, what, sides, goal in (
        ("reference", "reference plan against its last commit", 1, 3),
        (str(REVIEWED), f"{REVIEWED} sectors that all differ, beside validating both", 2, 2),
    ):
        one, beside = measured[f"review {name}"], measured[f"validate reviewed {name}"]
        yield Figure(
            f"`review`, {what}",
            one.median / (sides * beside.median),
            "x",
            goal,
            beside=f"{one.median:.2f} s and {one.peak:.0f} MB; `validate` takes {beside.median:.2f} s",
        )


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sectors", type=int, nargs="+", default=[40, 400])
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        measured = contestants(folder, chosen.sectors)
        for one in measured.values():  # so that every file is in memory
            one.run()
            one.seconds.clear()
            one.megabytes.clear()
        for _ in range(chosen.rounds):
            for one in measured.values():
                one.run()
        found = figures(measured, chosen.sectors, folder)
    print(f"{machine()}; medians of {chosen.rounds} rounds")
    print(as_text(found))
    if chosen.json:
        write_json(chosen.json, found)


if __name__ == "__main__":
    main()
