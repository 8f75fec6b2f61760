"""What is done to the stacks of a stage from this machine, with the credentials of whoever deploys."""
