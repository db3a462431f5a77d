"""The order of the rooms: a module imports from its own row and rows before it only."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "diffuse_cli"
ROWS = [
    {"__init__", "errors", "config", "catalog", "files"},
    {"diffusion"},
    {"networks"},
    {"samplers", "sampling"},
    {"datasets"},
    {"guidance"},
    {"inverse"},
    {"families"},
    {"metrics"},
    {"plots"},
    {"models"},
    {"training"},
    {"analysis"},
    {"figures"},
    {"report"},
    {"cli", "__main__"},
]
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(parts):
    return parts[0].removesuffix(".py") if parts else "__init__"


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "diffuse_cli":
            rest = node.module.split(".")[1:]
            yield from (
                [room(rest)] if rest else [alias.name if alias.name in ROW_OF else "__init__" for alias in node.names]
            )
        elif isinstance(node, ast.Import):
            yield from (room(a.name.split(".")[1:]) for a in node.names if a.name.split(".")[0] == "diffuse_cli")


def test_every_room_has_a_row():
    without = {room(path.relative_to(PACKAGE).parts) for path in MODULES} - set(ROW_OF)
    assert not without, "give it a row here and in docs/architecture.md"


def test_imports_go_down():
    row = {path: ROW_OF[room(path.relative_to(PACKAGE).parts)] for path in MODULES}
    above = {str(p.relative_to(PACKAGE)): {name for name in imported(p) if ROW_OF[name] > row[p]} for p in MODULES}
    assert {module: names for module, names in above.items() if names} == {}


def test_there_is_something_to_hold():
    assert len(MODULES) > 40
    assert set(imported(PACKAGE / "models" / "run_folder.py")) >= {"config", "models", "errors"}
