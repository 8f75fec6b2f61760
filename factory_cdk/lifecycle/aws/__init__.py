"""The verbs for stages on AWS, which are found through the tags of their stacks, without their plan."""
