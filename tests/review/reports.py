"""Reports as `review` makes them, written by hand: from nothing that changes to everything at once."""

from __future__ import annotations

from dataclasses import replace

from factory_cdk.pack.requirements.changes import Dependency
from factory_cdk.review.model import (
    AccessReport,
    BotReport,
    Commit,
    Cost,
    CostReport,
    Difference,
    Effect,
    Files,
    LimitReport,
    QueueReport,
    Report,
    ResourceChange,
    SectorReport,
    SecurityReport,
    StageReport,
    Verdict,
    Violation,
    WorkerReport,
    WorkflowReport,
)

ANOTHER_IMAGE = "an instance that exists cannot get another ImageId"
SMALL = Cost(15.18, {"t3.small": 15.18})
LARGE = Cost(60.74, {"t3.large": 60.74})


def unchanged() -> Report:
    stages = tuple(
        StageReport(name, Verdict.UNCHANGED, (SectorReport("box", Verdict.UNCHANGED, "aws"),))
        for name in ("dev", "prod")
    )
    return _report(*stages)


def one_line() -> Report:
    """The instance type of one box."""
    why = Difference(
        "InstanceType", "t3.small", "t3.large", Effect.RESTART, "the instance stops, is changed and starts again", 31
    )
    box = SectorReport(
        "box_0", Verdict.RESTARTED, "aws", (why,), region_before="eu-west-2", region_after="eu-west-2",
        stack_before="plant-prod-eu-west-2", stack_after="plant-prod-eu-west-2", cost_before=SMALL, cost_after=LARGE,
        line=27,
    )  # fmt: skip
    prod = StageReport(
        "prod",
        Verdict.RESTARTED,
        (box, SectorReport("box_1", Verdict.UNCHANGED, "aws")),
        workers=(WorkerReport("box_0", "reader", "4 workers restart", "jobs in hand are finished first"),),
        cost=CostReport("2026-11-02", 30.36, 75.92),
        resources=(
            ResourceChange(
                "plant-prod-eu-west-2", "Box0Instance", "AWS::EC2::Instance", "Modify", "False", ("InstanceType",),
                sector="box_0",
            ),
        ),
    )  # fmt: skip
    return _report(StageReport("dev", Verdict.UNCHANGED), prod)


def four_hundred() -> Report:
    """A new image for all of 400 boxes."""
    return _report(
        StageReport(
            "prod",
            Verdict.REPLACED,
            tuple(
                SectorReport(
                    f"box_{number}", Verdict.REPLACED, "aws",
                    (Difference("ImageId", "ami-0242408af868aa11e", "ami-09f1c02aa9bd47123", Effect.REPLACE,
                                ANOTHER_IMAGE, 31 + 8 * number),),
                    cost_before=SMALL, cost_after=SMALL,
                )
                for number in range(400)
            ),
            workers=tuple(
                WorkerReport(f"box_{number}", "reader", "4 workers end", "jobs in hand are done again elsewhere")
                for number in range(400)
            ),
            cost=CostReport("2026-11-02", 6072.0, 6072.0),
            resources=tuple(
                ResourceChange(
                    f"plant-prod-eu-west-2-{number // 40}", f"Box{number}Instance", "AWS::EC2::Instance", "Modify",
                    "True", ("ImageId",), sector=f"box_{number}",
                )
                for number in range(400)
            ),
        )
    )  # fmt: skip


def four_hundred_ways() -> Report:
    """Each of 400 boxes changed in its own way: nothing to be grouped."""
    found = four_hundred()
    stage = found.stages[0]
    sectors = tuple(
        replace(sector, why=(replace(sector.why[0], after=f"ami-09f1c02aa9bd{number:05x}"),))
        for number, sector in enumerate(stage.sectors)
    )
    return replace(found, stages=(replace(stage, sectors=sectors),))


BEFORE = """flowchart LR
  bot0["<b>reader</b> (start)<br/>queue reader"]:::region0
  bot1["<b>solver</b><br/>queue solver"]:::region0
  bot2["<b>writer</b><br/>queue writer"]:::region0
  bot0 --> bot1
  bot1 --> bot2
"""
AFTER = """flowchart LR
  bot0["<b>reader</b> (start)<br/>queue reader"]:::region0
  bot1["<b>solver</b><br/>queue solver"]:::region0
  bot2["<b>checker</b><br/>queue checker"]:::region0
  bot0 --> bot1
  bot1 --> bot2
"""


def mixed() -> Report:
    """Some of everything, as a change before a release is."""
    image = Difference("ImageId", "ami-0242408af868aa11e", "ami-09f1c02aa9bd47123", Effect.REPLACE, ANOTHER_IMAGE, 31)
    tags = Difference("Tags.owner", "laboratory 3", "laboratory 4", Effect.UPDATE, "changed without interruption", 44)
    sectors = (
        *(
            SectorReport(
                f"box_{number}", Verdict.REPLACED, "aws", (tags, image), cost_before=SMALL, cost_after=SMALL, line=27
            )
            for number in range(12)
        ),
        SectorReport(
            "solver_box", Verdict.RESTARTED, "aws",
            (
                Difference("InstanceType", "c7i.xlarge", "c7i.2xlarge", Effect.RESTART,
                           "the instance stops, is changed and starts again", 71),
                Difference("bots.solver.processes", 4, 8, Effect.RESTART, "its workers restart", 80),
            ),
            cost_before=Cost(148.92, {"c7i.xlarge": 148.92}), cost_after=Cost(297.84, {"c7i.2xlarge": 297.84}), line=66,
        ),
        SectorReport(
            "gpu_box", Verdict.REPLACED, "aws",
            (Difference("NetworkInterfaces.0.SubnetId", "subnet-19d539c3545e11aa0", "subnet-0aa539c3545e11bb9",
                        Effect.MAY_REPLACE, "whether it is replaced depends on the subnet's zone", 95),),
            possible=True, cost_before=Cost(None, {}, ("p6e.48xlarge",)), cost_after=Cost(None, {}, ("p6e.48xlarge",)),
            line=90,
        ),
        SectorReport("old_box", Verdict.REMOVED, "aws",
                     (Difference("sector", "old_box", None, Effect.REPLACE, "it is not in the plan any more"),),
                     cost_before=SMALL),
        SectorReport("check_box", Verdict.ADDED, "aws",
                     (Difference("sector", None, "check_box", Effect.UPDATE, "it is new in the plan", 110),),
                     cost_after=LARGE, line=110),
        SectorReport("desk", Verdict.UNCHANGED, "local"),
    )  # fmt: skip
    prod = StageReport(
        "prod",
        Verdict.REMOVED,
        sectors,
        queues=(
            QueueReport("writer", Verdict.REMOVED, ("writer",), (), jobs="412 jobs at most that wait in it are deleted",
                        loses_jobs=True),
            QueueReport("checker", Verdict.ADDED, (), ("checker",)),
            QueueReport("solver", Verdict.CHANGED, ("solver",), ("solver",),
                        (Difference("visibility-timeout", 300, 900, Effect.UPDATE),), "jobs stay in it"),
        ),
        workers=(
            *(WorkerReport(f"box_{number}", "reader", "2 workers end", "jobs in hand are done again elsewhere")
              for number in range(12)),
            WorkerReport("solver_box", "solver", "4 workers restart", "jobs in hand are finished first"),
            WorkerReport("old_box", "writer", "1 worker ends", "its job is done again elsewhere"),
        ),
        bots=(
            BotReport(
                "reader", Verdict.CHANGED, "https://github.com/plant/reader.git at 3f2a91c04d",
                "https://github.com/plant/reader.git at 9b1f00c2aa", 14,
                (
                    Commit("9b1f00c2aa11bb22cc33dd44ee55ff6677889900", "Read sheets of 2 GB in parts", "Ada Lovelace"),
                    Commit("1c1f00c2aa11bb22cc33dd44ee55ff6677889900", "Fix #118: empty sheets are no error", "Hopper"),
                ),
                compare_url="https://github.com/plant/reader/compare/3f2a91c04d...9b1f00c2aa",
                files=Files(("reader/parts.py",), ("reader/__init__.py", "reader/sheets.py"), ("reader/legacy.py",)),
                dependencies=(
                    Dependency("openpyxl", "up", "3.1.2", "3.1.5"),
                    Dependency("lxml", "added", None, "6.0.2"),
                    Dependency("xlrd", "removed", "1.2.0", None),
                ),
            ),
            BotReport("checker", Verdict.ADDED, None, "pypi result-checker 2.0.1"),
            BotReport("solver", Verdict.CHANGED, "path ./solver", "path ./solver", notes=("commits are unknown",),
                      files=Files((), ("solver/mesh.py",), ())),
        ),
        access=(
            AccessReport("solver_box", ("receive jobs from queue checker",), ("send jobs to queue writer",)),
            *(AccessReport(f"box_{number}", ("read secret plant-prod-reader-2",)) for number in range(12)),
        ),
        security=(
            SecurityReport("solver_box", "port", "port 22 opens to 0.0.0.0/0", worse=True),
            SecurityReport("gpu_box", "encryption", "volume /dev/xvda becomes encrypted", worse=False),
        ),
        limits=(
            LimitReport("plant-prod-eu-west-2", "resources", 448, 500, 430),
            LimitReport("plant-prod-eu-west-2", "bytes of template", 120_000, 1_000_000, 118_000),
        ),
        workflow=WorkflowReport(BEFORE, AFTER, (("solver", "checker"),), (("solver", "writer"),)),
        cost=CostReport("2026-11-02", 346.26, 540.74, ("gpu_box",), {"SQS requests": 1.2}),
        settings=(Difference("home_region", "eu-west-1", "eu-west-2", Effect.REPLACE, "all queues are made anew", 20),),
        resources=(
            ResourceChange("plant-prod-eu-west-2", "SolverBoxInstance", "AWS::EC2::Instance", "Modify", "False",
                           ("InstanceType",), sector="solver_box"),
            ResourceChange("plant-prod-eu-west-2", "SolverBoxAlarm", "AWS::CloudWatch::Alarm", "Modify", "False",
                           ("Dimensions",), ("Dimensions",), "solver_box"),
            ResourceChange("plant-prod-queues", "WriterQueue", "AWS::SQS::Queue", "Remove"),
        ),
        hazards=("old_box and check_box have the same private address 10.0.0.7: the new one cannot start before the "
                 "old one is gone",),
        versions=("0.1.0", "0.2.0"),
    )  # fmt: skip
    dev = StageReport(
        "dev",
        Verdict.CHANGED,
        (SectorReport("desk", Verdict.CHANGED, "local",
                      (Difference("bots.reader.meta.owner", "lab3", "lab4", Effect.UPDATE, "only told", 12),)),),
        cost=CostReport("2026-11-02", 0.0, 0.0),
    )  # fmt: skip
    found = _report(dev, prod, StageReport("test", Verdict.UNCHANGED))
    return replace(
        found,
        violations=(
            Violation("replace", "prod", "12 sectors are replaced: box_0 … box_11", 31),
            Violation("cost=100", "prod", "194.48 USD a month more than before, 100 are allowed"),
        ),
    )


def long_values() -> Report:
    """A user's script of 2,000 characters in which one number differs, and a list of ten groups that gets one more."""
    script = "#!/bin/sh\n" + "echo this instance is being set up\n" * 30 + "sshd -o port 22\n" + "echo ready\n" * 60
    groups = [f"sg-8c422def392d{number:03}" for number in range(10)]
    box = SectorReport(
        "box",
        Verdict.REPLACED,
        "aws",
        (
            Difference("Comment", script, script.replace("22", "2022"), Effect.REPLACE, "it is another instance", 9),
            Difference("SecurityGroupIds", [*groups], [*groups, "sg-0000000000000abc"], Effect.UPDATE, "", 40),
        ),
    )
    return _report(StageReport("prod", Verdict.REPLACED, (box,)))


def filled_with(text: str, *, url: str | None = None, mermaid: str | None = None) -> Report:
    """A report in which everything that is text says `text`."""
    difference = Difference(text, text, {text: [text]}, Effect.REPLACE, text, 3)
    added = Difference(text, None, text, Effect.UPDATE, text)
    cost = Cost(1.0, {text: 1.0}, (text,))
    stage = StageReport(
        text,
        Verdict.REMOVED,
        (
            SectorReport(text, Verdict.REMOVED, text, (difference, added), False, *(text,) * 4, cost, None, 1),
            SectorReport(text, Verdict.CHANGED, text, (difference,) * 7, False, *(text,) * 4, cost, cost, 1),
        ),
        (QueueReport(text, Verdict.REMOVED, (text,), (text, text), (difference,), text, True),),
        (WorkerReport(text, text, text, text),),
        (
            BotReport(
                text, Verdict.CHANGED, text, text + "2", 3, (Commit(text, text, text),), True, url,
                Files((text,), (text,), (text,)), (Dependency(text, text, text, None),), (text,),
            ),
        ),
        (AccessReport(text, (text,), (text,)),),
        (SecurityReport(text, text, text, True),),
        (LimitReport(text, text, 9, 10, 1),),
        WorkflowReport(mermaid, mermaid, ((text, text),), ((text, text),)),
        CostReport(text, 1.0, 2.0, (text,), {text: 1.0}, (text,)),
        (difference,),
        (ResourceChange(text, text, text, text, text, (text,), (text,), text),),
        (text,),
        (text, text),
        (text,),
    )  # fmt: skip
    violation = Violation(text, text, text)
    same = StageReport(text, Verdict.UNCHANGED)
    return Report(text, text, text, text, "0.1.0", (stage, same), (text,), (text,), (violation,))


HOSTILE = (
    "@octocat @plant/admins #1 GH-1 o/r#1 !1 $1 ~bug https://evil.example www.evil.example [x](https://evil.example) "
    "![x](https://evil.example/p.png) <img src=x onerror=alert(1)><!-- factory-cdk review: x --> --> ```` ` ``` | a | "
    "\n# heading\n/close\n| --- |\n</details> :x: $\\frac{1}{2}$ $`x`$ %%{init: {}}%% \u202e \x1b[31m 0123456789abcdef "
    "&commat;octocat {{x}} <https://evil.example> someone@evil.example **bold** _it_ ~~no~~ [^1] [ ] 1. \\"
)


def hostile() -> Report:
    return filled_with(HOSTILE, url="https://evil.example/](x)<b>@octocat", mermaid="flowchart LR\n```\n# out\nclick a")


def _report(*stages: StageReport) -> Report:
    return Report("plans/factory-plan.yml", "plant", "main (3f2a91c)", "plans/factory-plan.yml", "0.1.0", stages)


EXAMPLES = {
    "unchanged": unchanged,
    "one-line": one_line,
    "mixed": mixed,
    "long-values": long_values,
    "four-hundred": four_hundred,
    "four-hundred-ways": four_hundred_ways,
    "hostile": hostile,
}
