"""A CDK app of one's own with a stage of a factory in it.

`cdk synth` in this folder writes three stacks: the factory's queues, its sector in eu-west-2, and `Operations`, which
is ours. Needs `pip install 'factory-cdk[cdk]' cdk-nag`.
"""

from pathlib import Path

import aws_cdk as cdk
import cdk_nag
import jsii
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_sns as sns
from constructs import IConstruct

from factory_cdk.stacks.library import FactoryStage

PLAN = Path(__file__).with_name("factory-plan.yml")


@jsii.implements(cdk.IAspect)
class DetailedMonitoring:
    """An aspect that sees the factory's instances as what they are, and changes them."""

    def visit(self, node: IConstruct) -> None:
        """Switch detailed monitoring on, which the plan leaves to us."""
        if isinstance(node, ec2.CfnInstance):
            node.monitoring = True


app = cdk.App()
factory = FactoryStage(app, plan=PLAN, stage="prod")
operations = cdk.Stack(app, "Operations", env=cdk.Environment(region="eu-west-2"))
people = sns.Topic(operations, "People", enforce_ssl=True)

# A grant: what the role of the sector `box` gets is a policy of its own in the factory's stack.
people.grant_publish(factory.roles["box"])

# An alarm on jobs that failed for good. Queues are named as in the plan: a bot's queue has its name by default.
failed = factory.queues["thumbnails"].dead_letters.metric_approximate_number_of_messages_visible(
    period=cdk.Duration.minutes(5), statistic="Maximum"
)
alarm = failed.create_alarm(
    operations,
    "FailedThumbnails",
    threshold=1,
    evaluation_periods=1,
    treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
)
alarm.add_alarm_action(actions.SnsAction(people))

# What refers to the instance stands in its stack, which needs the topic of the other one first.
cdk.CfnOutput(factory.sectors["box"].stack, "Instance", value=factory.instances["box"].ref)

# An aspect and tags for the whole factory.
cdk.Aspects.of(factory).add(DetailedMonitoring())
cdk.Tags.of(factory).add("cost-center", "pictures")

# The rules of cdk-nag see the factory's resources by their types; what is meant is acknowledged, with the reason.
cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
OWN_PATHS = (
    "ssm:<AWS::Region>:<AWS::AccountId>:parameter/factory-cdk/cdk_app/prod/box/*",
    "logs:<AWS::Region>:<AWS::AccountId>:log-group:/factory-cdk/cdk_app/prod/box:*",
    "logs:<AWS::Region>:<AWS::AccountId>:log-group:/factory-cdk/cdk_app/prod/boot.log:*",
    "dynamodb:eu-west-2:<AWS::AccountId>:table/cdk_app.prod.jobs/index/*",
    f"s3:::{factory.design.payloads.replace('$', '').replace('{', '<').replace('}', '>')}/*",
    "kms:<AWS::Region>:<AWS::AccountId>:key/*",  # under conditions
)
cdk.Validations.of(factory).acknowledge(
    cdk.Acknowledgment(id="AwsSolutions-S1", reason="payloads are a bot's own jobs, gone after two weeks"),
    cdk.Acknowledgment(id="AwsSolutions-DDB3", reason="the history of jobs is gone after two weeks by itself"),
    cdk.Acknowledgment(id="AwsSolutions-SMG4", reason="the token is replaced by hand, twice a year"),
    cdk.Acknowledgment(id="AwsSolutions-EC29", reason="the instance keeps nothing: jobs are in the queues"),
    *(
        cdk.Acknowledgment(id=f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:{path}]", reason="the sector's own")
        for path in OWN_PATHS
    ),
)

app.synth()
