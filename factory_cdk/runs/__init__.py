"""Runs: workflows of steps, advanced by one pure function and kept as a log of operations.

`conditions.py` reads what a step needs, `graph.py` has the steps as frozen data, `state.py` what a run has come to,
and `advancing.py` says what follows from an event: nothing there knows of files, queues, processes or plans.
"""
