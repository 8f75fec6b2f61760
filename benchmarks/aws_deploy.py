"""`factory-cdk build` of a stage beside `cdk deploy` of the same assembly, against the emulator, in one run.

    python benchmarks/aws_deploy.py [--rounds 3]

The stage has two regions with two sectors each; instances answer at once. A first build, and an update of the code of
one bot. Both start from bots that are packed and an assembly that is made (`build` makes its own again, which is in its
time). Contestants take turns, each in an emulator of its own; medians are reported. `cdk deploy` is told to work on
stacks side by side (`--concurrency 4`). What is measured is these programs and the emulator: on AWS, CloudFormation and
instances take minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests")]
from answering import answering  # noqa: E402 - the tests' folder comes first
from emulator import Emulator, running  # noqa: E402 - the tests' folder comes first

from factory_cdk.stacks.node import wheel_node  # noqa: E402 - the tests' folder comes first

CDK = Path(sys.prefix) / "cdk-cli" / "node_modules" / "aws-cdk" / "bin" / "cdk"
REGIONS = {"one": "eu-west-2", "two": "eu-west-2", "three": "eu-west-1", "four": "eu-west-1"}
PARAMETERS = "{ImageId: ami-0abcdef1234567890, InstanceType: t3.micro}"
SECTOR = f"{{type: aws, region_name: REGION, parameters: {PARAMETERS}, bots: {{BOT: {{}}}}}}"
PLAN = "\n".join(
    [
        "factory:",
        "  name: deployed",
        "  bots:",
        *(f"    {name}: {{source: {{path: {name}}}, bot_path: 'bots:run'}}" for name in REGIONS),
        "  workflows: {flow: {one: {two: {three: four}}}}",
        "  stages:",
        "    prod:",
        "      workflow: flow",
        *(
            f"      s-{name}: {SECTOR.replace('REGION', region).replace('BOT', name)}"
            for name, region in REGIONS.items()
        ),
    ]
)


class Desk:
    """A folder with the plan, for an emulator."""

    def __init__(self, aws: Emulator, folder: Path) -> None:
        self.aws, self.folder = aws, folder
        (folder / "factory-plan.yml").write_text(PLAN)
        for name in REGIONS:
            self.write(name, "1")
        for region in set(REGIONS.values()):
            aws.bootstrap(region)

    def write(self, bot: str, code: str) -> None:
        """The code of a bot."""
        (self.folder / bot).mkdir(exist_ok=True)
        (self.folder / bot / "bots.py").write_text(f"def run(payload):\n    return {code}\n")

    def run(self, *command: str) -> float:
        """The seconds that a command takes."""
        environ = {
            **os.environ,
            **self.aws.environment,
            "AWS_REGION": "eu-west-2",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "1",
            "FACTORY_CDK_HOME": str(self.folder / "home"),
            "CI": "true",
        }
        began = time.monotonic()
        done = subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return time.monotonic() - began

    def factory(self, *arguments: str) -> float:
        """The seconds of a command of factory-cdk."""
        command, *rest = arguments
        return self.run(
            sys.executable, "-m", "factory_cdk", command, "--plan", "factory-plan.yml", "--stage", "prod", *rest
        )

    def synth(self) -> None:
        """Pack the bots, and make the assembly."""
        self.factory("pack")
        self.factory("synth", "-q")


def build(desk: Desk) -> float:
    """By `factory-cdk build`."""
    return desk.factory("build", "--yes", "-q")


def deploy(desk: Desk) -> float:
    """By `cdk deploy`."""
    options = ("--all", "--app", "cdk.out", "--require-approval", "never", "--concurrency", "4")
    return desk.run(str(wheel_node()), str(CDK), "deploy", *options)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for way in (build, deploy):
            with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as aws:
                work = Path(folder) / "work"
                work.mkdir()
                desk = Desk(aws, work)
                sectors = {f"s-{name}": region for name, region in REGIONS.items()}
                with answering(aws, "/factory-cdk/deployed/prod", sectors):
                    for what in ("first", "update"):
                        desk.synth()
                        seconds.setdefault((what, way.__name__), []).append(way(desk))
                        desk.write("one", "2")
    for what in ("first", "update"):
        ours, theirs = (statistics.median(seconds[what, way]) for way in ("build", "deploy"))
        print(f"{what}: build {ours:.1f} s, cdk deploy {theirs:.1f} s, {ours / theirs:.2f}x")


if __name__ == "__main__":
    main()
