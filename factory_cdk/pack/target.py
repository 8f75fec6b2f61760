"""Whether a bot's code is where `bot_path` says, found by reading the source and never by importing it."""

from __future__ import annotations

import ast
import difflib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from factory_cdk.diagnostics import FactoryError
from factory_cdk.pack.paths import OURS
from factory_cdk.pack.tree import Tree

_PLACES = ("", "src/", "lib/", "python/")
"""Where a source keeps its packages, the likeliest first; other folders are looked through after them."""

_parsing = threading.Lock()
"""CPython counts the depth of a syntax tree in one place for all threads, and raises SystemError when two of them that
parse have mixed it up: https://github.com/python/cpython/issues/106905 is about the same count.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a bot's module is in its tree (None: not in it), and what a user should know of that."""

    module: str | None
    notes: tuple[str, ...] = ()


def find_target(tree: Tree, bot_path: str, *, others_bring_code: bool) -> Found:
    """Find `package.module:attribute` in a tree.

    `others_bring_code` says that the bot has requirements, one of which may hold a module that is not in the
    tree at all: that is noted, not refused. Raises FactoryError, with the nearest names, when the module or
    the attribute cannot be there. What only running the module would tell is accepted.
    """
    module, _, attribute = bot_path.partition(":")
    file = module_file(tree.paths, module)
    if file is None:
        return _missing(tree, bot_path, module, others_bring_code)
    try:
        source = tree.at(file).read_bytes()
        with _parsing:
            syntax = ast.parse(source, file)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last: nested too deep to parse
        why = str(error) or "it is nested too deep"
        return Found(
            file, (f"{file} could not be parsed by this Python, so bot_path {bot_path} is not checked: {why}",)
        )
    names = set(_names(syntax.body))
    head = attribute.partition(".")[0]
    if head in names or names & {"*", "__getattr__"} or _is_module(tree.paths, file, head):
        return Found(file)
    near = difflib.get_close_matches(head, names, n=1)
    what = f"did you mean {module}:{near[0]}?" if near else f"it has {_listed(names)}"
    raise FactoryError(f"bot_path {bot_path}: {file} has no {head!r}", what)


def module_file(paths: Iterable[str], module: str) -> str | None:
    """The path of a module's file among `paths`, or None: in the usual places first, else wherever it is."""
    there = {path for path in paths if not path.startswith(f"{OURS}/")}
    parts = module.replace(".", "/")
    ends = (f"{parts}.py", f"{parts}/__init__.py")
    for place in _PLACES:
        for end in ends:
            if place + end in there:
                return place + end
    deeper = sorted((path for path in there if path.endswith(tuple(f"/{end}" for end in ends))), key=_depth)
    return deeper[0] if deeper else None


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def _missing(tree: Tree, bot_path: str, module: str, others_bring_code: bool) -> Found:
    package = module.partition(".")[0]
    modules = sorted(_modules(tree.paths))
    ours = any(name == package or name.startswith(f"{package}.") for name in modules)
    if others_bring_code and not ours:
        return Found(None, (f"{module} is not in the source: it has to come from the bot's requirements",))
    near = difflib.get_close_matches(module, modules, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the source has {_listed(modules)}"
    raise FactoryError(f"bot_path {bot_path}: the source has no module {module}", hint)


def _modules(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if path.endswith(".py") and not path.startswith(f"{OURS}/"):
            place = next((place for place in _PLACES[1:] if path.startswith(place)), "")
            yield path[len(place) : -3].removesuffix("/__init__").replace("/", ".")


def _is_module(paths: frozenset[str], file: str, name: str) -> bool:
    """Whether `name` is a module beside a package's `__init__.py`, which an import makes its attribute."""
    folder = file.removesuffix("__init__.py")
    return folder != file and bool({f"{folder}{name}.py", f"{folder}{name}/__init__.py"} & paths)


def _names(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that statements bind at the level of a module; `*` where only running them would tell."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in statement.names)
        else:
            for child in ast.walk(statement):
                if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                    yield child.id
                elif isinstance(child, ast.Call) and isinstance(child.func, ast.Name):
                    yield from ["*"] if child.func.id in {"globals", "exec", "vars", "setattr"} else []
                elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    yield child.name
                elif isinstance(child, ast.Import | ast.ImportFrom):
                    yield from ((alias.asname or alias.name).partition(".")[0] for alias in child.names)


def _listed(names: Iterable[str]) -> str:
    shown = sorted(name for name in names if not name.startswith("_"))
    return ", ".join(shown[:6]) + (" …" if len(shown) > 6 else "") if shown else "none"
