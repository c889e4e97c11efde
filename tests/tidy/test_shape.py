"""The shape of the source: short functions, short files, every public name explained and typed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.tidy.sources import PACKAGE, modules

LONGEST_FUNCTION = 55
"""Lines, signature and docstring included. One is near it: the loop over signals in `sweep_kernel`."""
LONGEST_FILE = 450
"""Lines. `settings.py` and the engine's loop are the longest."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(node: Function) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Public functions and classes, and the public methods of public classes; of overloads each."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{prefix}{node.name}.")


def untyped(node: Function) -> list[str]:
    """Arguments without a type, and `return` when the result has none."""
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    missing = [a.arg for a in named if a.annotation is None and a.arg not in ("self", "cls")]
    return missing + ([] if node.returns is not None else ["return"])


def test_functions_are_short() -> None:
    long = {
        f"{file}:{node.lineno} {node.name}": length(node)
        for file, tree in modules().items()
        for node in functions(tree)
        if length(node) > LONGEST_FUNCTION
    }
    assert long == {}


def test_most_functions_are_far_shorter() -> None:
    """Nine in ten have at most 30 lines, half of them at most 12."""
    lengths = sorted(length(node) for tree in modules().values() for node in functions(tree))
    assert lengths[len(lengths) // 2] <= 12
    assert lengths[len(lengths) * 9 // 10] <= 30


def test_files_are_short() -> None:
    lines = {file: len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) for file in modules()}
    assert {file: count for file, count in lines.items() if count > LONGEST_FILE} == {}
    assert sum(count > 400 for count in lines.values()) <= 3


def test_every_public_name_is_explained() -> None:
    silent = [
        f"{file}:{node.lineno} {name}"
        for file, tree in modules().items()
        for name, node in public(tree.body)
        if ast.get_docstring(node) is None
    ]
    assert silent == []


def test_every_function_is_typed() -> None:
    """Private ones too; functions inside functions as well."""
    loose = [
        f"{file}:{node.lineno} {node.name}: {', '.join(untyped(node))}"
        for file, tree in modules().items()
        for node in functions(tree)
        if untyped(node)
    ]
    assert loose == []


def test_these_checks_can_fail() -> None:
    tree = ast.parse("class A:\n    def f(self, x):\n        pass\n\nasync def g(*rest, y: int) -> None:\n    pass\n")
    assert [name for name, _ in public(tree.body)] == ["A", "A.f", "g"]
    assert {node.name: untyped(node) for node in functions(tree)} == {"f": ["x", "return"], "g": ["rest"]}
    assert [length(node) for node in functions(tree)] == [2, 2]
