"""The verbs on this machine."""
