"""The structure of a plan: the Cerberus schema, checked, and as JSON Schema and as a page."""
