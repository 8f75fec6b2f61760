"""The local factory: environments, the runner of a stage's local sectors, and what the command line asks of them.

    StageDesign -> Roster (roster.py, a file that a runner restarts from)
                     `-> one runner process per factory and stage (runner.py): it alone talks to the queues
                            `-> crews (crew.py): the workers of one bot on one sector, restarts, crash loops; all of
                                   them are its staff (staff.py), which changes to the next roster (relief.py)
                                   `-> workers (process.py): one process each, running the shim of factory_cdk.worker

`factory.py` is the facade: build, submit, wait, workers, logs, stop, resume, demolish. `watching.py` reloads what is
saved: lookout.py sees it, reload.py installs it and asks the runner for it.
"""
