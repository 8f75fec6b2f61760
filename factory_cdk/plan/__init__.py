"""The plan language: text with positions, Cerberus schema, cross-checks, Plan and StagePlan."""
