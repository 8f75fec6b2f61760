"""The runner: the one process of a stage on a machine that talks to its queues and keeps its bots at work.

    RunnerSpec (state/runner_spec.py, a file that a runner restarts from)
        `-> Runner (runner.py): the only one that talks to the queues
                `-> QueueExchange (exchange.py): settles what was done and leases what there is room for
                `-> PoolSet (pool_set.py), which changes to the next spec by a RollingUpdate (rolling_update.py)
                        `-> WorkerPool (pool.py): the workers of one bot on one sector, restarts, crash loops
                                `-> WorkerSlot (slot.py): one worker's place, which outlives its processes
                                        `-> WorkerProcess (process.py): runs the shim of factory_cdk.worker

A job: the runner's exchange with the queues claims it, `WorkerPool.assign` and `flush` hand it to a worker, its answer
comes to `WorkerPool._on_message` and goes on to `PoolEvents.settle`, and the next exchange settles it.

What pools, slots, updates and the gate (gate.py) need from outside, they are given (ports.py): the time, and processes.
`launch.py` starts a runner; `python -m factory_cdk.runner FOLDER` is one.
"""
