"""Wheels for instances that ask no index, fetched or built when a plan is packed."""
