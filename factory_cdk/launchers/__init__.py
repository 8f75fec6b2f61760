"""Launchers: the ways in which a bot is started and gets its jobs."""
