"""Seconds and memory of `validate` and `synth`, beside the least that could do the same, in one run.

    python benchmarks/synth.py [--rounds 3] [--sectors 40 400] [--json FILE]

`synth` of N one-bot sectors stands beside a bare CDK app of typed L1 constructs that emits as many resources
(bare_l1_app.py), both with CDK's own validation off and the same Node; `validate` beside a Python that imports
yaml, cerberus and click and ends. The contestants take turns, round by round, and medians are reported. Memory is
the largest process of each (Python or Node).
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
from dataclasses import dataclass, field
from pathlib import Path

from factory_cdk.stacks.node import wheel_node

HERE = Path(__file__).parent
REFERENCE = HERE.parent / "plans" / "reference" / "factory-plan.yml"


@dataclass
class Contestant:
    """A command that is run once a round; `beside` names the one it is compared with."""

    name: str
    command: list[str]
    beside: str | None = None
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
        if process.returncode:
            sys.exit(f"{self.name} failed: {said.decode()[-2000:]}")


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


def contestants(folder: Path, sizes: list[int]) -> list[Contestant]:
    """Everything that is measured."""
    python = sys.executable
    ours = [python, "-m", "factory_cdk"]
    for count in {*sizes, 1000}:
        (folder / f"{count}.yml").write_text(plan(count))
    found = [
        Contestant("import yaml, cerberus, click", [python, "-c", "import yaml, cerberus, click"]),
        Contestant(
            "validate, reference", [*ours, "validate", "--plan", str(REFERENCE)], "import yaml, cerberus, click"
        ),
        Contestant(
            "validate, 1000 sectors",
            [*ours, "validate", "--plan", str(folder / "1000.yml")],
            "import yaml, cerberus, click",
        ),
        Contestant(
            "synth, reference dev",
            [*ours, "synth", "-q", "--plan", str(REFERENCE), "--stage", "dev", "-o", str(folder / "reference")],
        ),
    ]
    for count in sizes:
        bare = f"bare L1 app, {count} sectors"
        out = folder / f"ours-{count}"
        command = [*ours, "synth", "-q", "--plan", str(folder / f"{count}.yml"), "--stage", "dev", "-o", str(out)]
        app = [python, str(HERE / "bare_l1_app.py"), str(count), str(folder / f"bare-{count}")]
        found += [Contestant(bare, app), Contestant(f"synth, {count} sectors", command, bare)]
    return found


def resources(folder: Path) -> int:
    """How many resources the templates in `folder` have together."""
    return sum(len(json.loads(file.read_text())["Resources"]) for file in folder.glob("*.template.json"))


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sectors", type=int, nargs="+", default=[40, 400])
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        measured = contestants(folder, chosen.sectors)
        for one in measured:  # so that every file is in memory
            one.run()
            one.seconds.clear()
            one.megabytes.clear()
        for _ in range(chosen.rounds):
            for one in measured:
                one.run()
        made = {count: [resources(folder / f"{kind}-{count}") for kind in ("ours", "bare")] for count in chosen.sectors}
    seconds = {one.name: statistics.median(one.seconds) for one in measured}
    print(f"{'':30} {'median s':>9} {'least s':>8} {'MB':>5} {'ratio':>6}")
    for one in measured:
        ratio = f"{seconds[one.name] / seconds[one.beside]:.2f}x" if one.beside else ""
        print(f"{one.name:30} {seconds[one.name]:9.2f} {min(one.seconds):8.2f} {max(one.megabytes):5.0f} {ratio:>6}")
    for count, (own, bare) in made.items():
        print(f"{count} sectors: {own} resources, the bare app {bare}")
    if chosen.json:
        rows = [
            {
                "name": one.name,
                "seconds": one.seconds,
                "megabytes": max(one.megabytes),
                "beside": one.beside,
                "ratio": seconds[one.name] / seconds[one.beside] if one.beside else None,
            }
            for one in measured
        ]
        chosen.json.write_text(json.dumps({"rows": rows, "resources": made}, indent=2) + "\n")


if __name__ == "__main__":
    main()
