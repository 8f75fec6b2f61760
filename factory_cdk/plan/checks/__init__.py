"""Checks of a plan beyond its structure: references, AWS's rules, routes and sizes."""
