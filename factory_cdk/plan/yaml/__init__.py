"""From the bytes of a plan's file to nodes with their positions."""
