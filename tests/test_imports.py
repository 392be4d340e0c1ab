"""The import graph of the source: no module imports itself through others, type-checking and lazy imports included.

The order of the packages is a contract of import-linter, in `pyproject.toml`.
"""

from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pkgutil import walk_packages

import grimp

import orchestrator


def test_no_modules_import_each_other_in_a_cycle() -> None:
    graph = grimp.build_graph("orchestrator", cache_dir=None)
    modules = {module for module in graph.modules if not graph.find_children(module)}  # not the `__init__` of packages
    imports = {module: graph.find_modules_directly_imported_by(module) & modules for module in modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        raise AssertionError("import cycle: " + " -> ".join(reversed(error.args[1]))) from None


def test_a_star_import_of_a_lazy_package_gives_all_its_names() -> None:
    packages = [
        module
        for module in (
            import_module(info.name) for info in walk_packages(orchestrator.__path__, "orchestrator.") if info.ispkg
        )
        if hasattr(module, "_EXPORTS")
    ]
    assert len(packages) > 5
    for package in packages:
        names: dict[str, object] = {}
        exec(f"from {package.__name__} import *", names)
        expected = {name for exports in package._EXPORTS.values() for name in exports}
        assert expected <= names.keys()
