"""The runner: the one process of a stage on a machine that talks to its queues and keeps its bots at work.

    RunnerSpec (state/runner_spec.py, a file that a runner restarts from)
        `-> Runner (runner.py): the only one that talks to the queues
                `-> QueueExchange (exchange.py): settles what was done and leases what there is room for
                `-> PoolSet (pool_set.py), which changes to the next spec by a RollingUpdate (rolling_update.py)
                        `-> WorkerPool (pool.py): the workers of one bot on one sector, restarts, crash loops
                                `-> WorkerSlot (slot.py): one worker's place, which outlives its processes
                                        `-> WorkerProcess (process.py): runs the shim of factory_cdk.worker

`launch.py` starts a runner; `python -m factory_cdk.runner FOLDER` is one.
"""
