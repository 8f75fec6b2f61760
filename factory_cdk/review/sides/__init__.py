"""The versions of a plan that can be compared: a file, a commit of git, a cloud assembly. Each gives a PlanSide."""
