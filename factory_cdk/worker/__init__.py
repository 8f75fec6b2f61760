"""The shim: the process in which a bot's code runs, inside the bot's own environment.

Standard library only, Python 3.8 or newer, and imported by path (`__main__.py` says how), because that
environment holds what the bot needs and nothing of ours. The runner starts it and talks to it in frames over
a socket (`frames`); stdout and stderr belong to the bot and are its log::

    runner -> worker   start     mode and words (launchers/base.py), roots, bytecode, variables, bot: first of all
    worker -> runner   ready     the bot is loaded and has begun
    worker -> runner   broken    error: it cannot be loaded; the worker ends
    runner -> worker   jobs      jobs: one or several, each a list: id, bot, payload, run, parent, attempt, tags
    worker -> runner   done      id, result; onward false: not for the bots that follow } one of the two for each
    worker -> runner   failed    id, error; final true: not to be tried again           } job, in their order
    runner -> worker   stop      finish the job in hand and end
    worker -> runner   returned  ids: jobs that go back to their queue, the attempt not counted

What a bot asks for through its Job::

    worker -> runner   status    status: a word for `ps` and `top`
    worker -> runner   held      no more jobs until `resumed`, or until the runner says `resume`
    worker -> runner   resumed   jobs again
    runner -> worker   resume    jobs follow
    worker -> runner   leaving   no more jobs: say stop

A runner may take back what the worker has not begun (`permits`): the worker then passes over it.

    worker -> runner   passed    count: so many jobs had no permit any more

A socket that ends means that the other side is gone: the worker then ends itself and its children at once.
"""
