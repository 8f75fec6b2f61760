"""Who takes part in local_factory.py: whatever runs a chain a → b → c, each of which adds one."""
