"""The agent of an instance: the runner of a local stage, told by AWS what to run and telling AWS how that goes.

`python -m factory_cdk.agent ROOT` is one asyncio process. `service.py` puts it together: the ports of the runner
(`state/ports.py`) are served by `specs.py` (releases), `gate.py` (requests), `secrets.py`, `status.py`, `logs.py` and
`presence.py`. `following.py` reads the release and the gate, `releases.py` brings the instance to a release, which
`installing.py`, a process of its own, installs. Everything that it keeps is in one folder (`folder.py`).
"""
