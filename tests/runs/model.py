"""The slow, obvious model of a run: everything is looked at again and again until nothing changes.

It is told what was started and what has ended, and says which status every step must have by that. It knows of no
indexes, counters or lines, and nothing of pools: containers of its graphs acquire nothing.
"""

from __future__ import annotations

from factory_cdk.runs.conditions import FAILURES, Any, Atom, Condition, Wanted, atoms
from factory_cdk.runs.graph import OnFailure, Step
from factory_cdk.runs.state import Key, Start, Status

ENDED = (Status.SUCCEEDED, Status.FAILED, Status.SKIPPED)
HELD = {
    Wanted.SUCCEEDED: (Status.SUCCEEDED,),
    Wanted.FAILED: (Status.FAILED,),
    Wanted.COMPLETED: (Status.SUCCEEDED, Status.FAILED, Status.SKIPPED),
    Wanted.SKIPPED: (Status.SKIPPED,),
}


class Model:
    def __init__(self, steps: tuple[Step, ...], on_failure: OnFailure) -> None:
        self.steps = steps
        self.on_failure = on_failure
        self.status: dict[Key, Status] = {}
        self.reached: set[tuple[Key, Wanted]] = set()
        self.stopped: set[Key] = set()
        self.cut: set[Key] = set()
        self.now = 0.0
        self.due: dict[Key, float] = {}

    def begin(self) -> None:
        self._open(Key("", "1"), self.steps)
        self.settle()

    def start(self, start: Start) -> None:
        key = start.key
        step = self._step(key.path)
        if step.is_group:
            self._set(Key(key.path, key.sequence.rpartition(".")[0]), Status.ACTIVE)
        self._set(key, Status.ACTIVE)
        self.settle()

    def end(self, key: Key, failure: str | None) -> None:
        self._set(key, Status.SUCCEEDED if failure is None else Status.FAILED)
        self.settle()

    def settle(self) -> None:
        before = None
        while before != (self.status, self.stopped, self.cut, self.due):
            before = (dict(self.status), set(self.stopped), set(self.cut), dict(self.due))
            self._stop()
            for scope in self._scopes():
                self._look_at(scope)

    def can_start(self) -> set[Key]:
        """The steps that are ready, and the next of their items and iterations, whatever there is room for."""
        found = set()
        for scope in self._scopes():
            for step in self._inside(scope.path):
                key = self._child(scope, step)
                if step.steps or self.status[key] in (*ENDED, Status.WAITING):
                    continue
                if not step.is_group:
                    found |= {key} if self.status[key] is Status.READY else set()
                elif (unit := self._next(key, step)) is not None:
                    found.add(unit)
        return found

    def _next(self, key: Key, step: Step) -> Key | None:
        units = [Key(key.path, f"{key.sequence}.{number}") for number in range(1, step.total + 1)]
        running = sum(self.status.get(unit) is Status.ACTIVE for unit in units)
        failed = any(self.status.get(unit) is Status.FAILED for unit in units)
        if step.items is None:
            if running or failed:
                return None
        elif (failed and self._policy(key.path) is OnFailure.STOP) or running >= (step.max_parallel or step.total):
            return None
        left = [unit for unit in units if self.status.get(unit) not in (*ENDED, Status.ACTIVE)]
        return left[0] if left and key not in self.cut else None

    def _look_at(self, scope: Key) -> None:
        for step in self._inside(scope.path):
            key = self._child(scope, step)
            status = self.status[key]
            if status is Status.WAITING and key not in self.due:
                value = True if step.needs is None else self._truth(step.needs, scope)
                if value is False:
                    self._set(key, Status.SKIPPED)
                elif value and scope in self.stopped and not _expects_failure(step):
                    self._set(key, Status.SKIPPED)
                    self.cut.add(scope)
                elif value and step.delay:
                    self.due[key] = self.now + step.delay
                elif value:
                    self._set(key, Status.READY)
            elif status is Status.WAITING and self.due[key] <= self.now:
                del self.due[key]
                self._set(key, Status.READY)
            elif step.is_group and status in (Status.READY, Status.ACTIVE):
                self._look_at_group(key, step)
        if all(self.status[self._child(scope, step)] in ENDED for step in self._inside(scope.path)):
            bad = scope in self.cut or any(
                self.status[self._child(scope, step)] is Status.FAILED and not self._is_handled(step, scope)
                for step in self._inside(scope.path)
            )
            self._set(scope, Status.FAILED if bad else Status.SUCCEEDED)

    def _look_at_group(self, key: Key, step: Step) -> None:
        unit = self._next(key, step)
        if unit is not None and step.steps:
            self._set(key, Status.ACTIVE)
            self._open(unit, step.steps)
            return
        units = [self.status.get(Key(key.path, f"{key.sequence}.{number}")) for number in range(1, step.total + 1)]
        if unit is None and Status.ACTIVE not in units:
            bad = key in self.cut or Status.FAILED in units
            self._set(key, Status.FAILED if bad else Status.SUCCEEDED)
            for number in range(1, step.total + 1):
                self.status.setdefault(Key(key.path, f"{key.sequence}.{number}"), Status.SKIPPED)

    def _stop(self) -> None:
        for scope in self._scopes():
            inside = self._inside(scope.path)
            bad = any(
                self._is_failing(self._child(scope, step), step)
                and self._policy(self._child(scope, step).path) is OnFailure.STOP
                and not self._is_handled(step, scope)
                for step in inside
            )
            if bad or self._is_stopped_from_outside(scope):
                self.stopped.add(scope)
            for step in inside if scope in self.stopped else ():
                key = self._child(scope, step)
                if _expects_failure(step):
                    continue
                value = step.needs and self._truth(step.needs, scope)
                if self.status[key] is Status.WAITING and value is False:
                    self._set(key, Status.SKIPPED)
                elif self.status[key] in (Status.WAITING, Status.READY):
                    self._set(key, Status.SKIPPED)
                    self.due.pop(key, None)
                    self.cut.add(scope)
                elif step.is_group and self.status[key] is Status.ACTIVE and self._has_left(key, step):
                    self.cut.add(key)

    def _has_left(self, key: Key, step: Step) -> bool:
        units = [Key(key.path, f"{key.sequence}.{number}") for number in range(1, step.total + 1)]
        return any(self.status.get(unit) not in (*ENDED, Status.ACTIVE) for unit in units)

    def _is_failing(self, key: Key, step: Step) -> bool:
        if self.status[key] is Status.FAILED:
            return True
        if not step.is_group or self.status[key] is not Status.ACTIVE:
            return False
        units = [Key(key.path, f"{key.sequence}.{number}") for number in range(1, step.total + 1)]
        failed = any(self.status.get(unit) is Status.FAILED for unit in units)
        bound = any(  # a container that has been stopped by what failed in it
            self.status.get(unit) is Status.ACTIVE and unit in self.stopped and self._has_unhandled(unit)
            for unit in units
            if step.steps
        )
        return failed or bound

    def _has_unhandled(self, scope: Key) -> bool:
        return any(
            self._is_failing(self._child(scope, step), step) and not self._is_handled(step, scope)
            for step in self._inside(scope.path)
        )

    def _is_stopped_from_outside(self, scope: Key) -> bool:
        if scope.path == "":
            return False
        sequence = scope.sequence.rpartition(".")[0]
        around = Key(scope.path.rpartition("/")[0], sequence)
        return around in self.stopped and not _expects_failure(self._step(scope.path))

    def _is_handled(self, step: Step, scope: Key) -> bool:
        return any(
            self.status[self._child(scope, other)] is not Status.SKIPPED
            for other in self._inside(scope.path)
            if any(atom.step == step.name and atom.wanted is Wanted.FAILED for atom in atoms(other.needs))
        )

    def _truth(self, condition: Condition, scope: Key) -> bool | None:
        if isinstance(condition, Atom):
            key = Key(f"{scope.path}/{condition.step}" if scope.path else condition.step, scope.sequence)
            if condition.wanted in (Wanted.READY, Wanted.ACTIVE):
                ended = self.status[key] in ENDED
                return True if (key, condition.wanted) in self.reached else False if ended else None
            return self.status[key] in HELD[condition.wanted] if self.status[key] in ENDED else None
        values = [self._truth(part, scope) for part in condition.parts]
        if isinstance(condition, Any):
            return True if True in values else None if None in values else False
        return False if False in values else None if None in values else True

    def _set(self, key: Key, status: Status) -> None:
        self.status[key] = status
        if status is Status.READY:
            self.reached.add((key, Wanted.READY))
        if status is Status.ACTIVE:
            self.reached |= {(key, Wanted.READY), (key, Wanted.ACTIVE)}

    def _open(self, scope: Key, steps: tuple[Step, ...]) -> None:
        self._set(scope, Status.ACTIVE)
        for step in steps:
            self._set(self._child(scope, step), Status.WAITING)

    def _scopes(self) -> list[Key]:
        def is_scope(key: Key) -> bool:
            return key.path == "" or (
                bool(self._step(key.path).steps) and key.sequence.count(".") == key.path.count("/") + 1
            )

        return [key for key, status in self.status.items() if status is Status.ACTIVE and is_scope(key)]

    def _child(self, scope: Key, step: Step) -> Key:
        return Key(f"{scope.path}/{step.name}" if scope.path else step.name, scope.sequence)

    def _inside(self, path: str) -> tuple[Step, ...]:
        return self._step(path).steps if path else self.steps

    def _step(self, path: str) -> Step:
        steps = self.steps
        for name in path.split("/"):
            found = next(step for step in steps if step.name == name)
            steps = found.steps
        return found

    def _policy(self, path: str) -> OnFailure:
        policy, names = self.on_failure, path.split("/")
        for length in range(1, len(names) + 1):
            policy = self._step("/".join(names[:length])).on_failure or policy
        return policy


def _expects_failure(step: Step) -> bool:
    return any(atom.wanted in FAILURES for atom in atoms(step.needs))
