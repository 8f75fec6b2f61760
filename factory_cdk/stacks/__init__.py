"""StageDesign to aws_cdk stacks and the CDK app; the only room that imports aws_cdk."""
