"""From the bytes of a plan's file to nodes that remember their places."""
