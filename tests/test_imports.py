"""The import graph of the source: no module imports itself through others, type-checking and lazy imports included.

The order of the packages is a contract of import-linter, in `pyproject.toml`.
"""

from graphlib import CycleError, TopologicalSorter

import grimp


def test_no_modules_import_each_other_in_a_cycle() -> None:
    graph = grimp.build_graph("orchestrator", cache_dir=None)
    modules = {module for module in graph.modules if not graph.find_children(module)}  # not the `__init__` of packages
    imports = {module: graph.find_modules_directly_imported_by(module) & modules for module in modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        raise AssertionError("import cycle: " + " -> ".join(reversed(error.args[1]))) from None
