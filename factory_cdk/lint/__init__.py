"""Lint: problems that a stage would have on AWS, each at the line of the plan it comes from.

    StageDesign ──▶ checks (instances, alarms, policies, literals) ──┐
        └──▶ templates ──▶ CDK's validation, cfn-lint (engines) ──▶ Finding ──▶ places ──▶ Diagnostic

A Finding is about a place in a template or in the plan; `places` leads from the one to the other. Findings in
what factory_cdk generates by itself are reported with the template and the path in it.
"""
