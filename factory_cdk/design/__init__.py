"""StagePlan + Bundles to StageDesign: plain data, with no CDK, boto3, clock or network behind it."""
