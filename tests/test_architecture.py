"""The shape of the house: who imports whom, which library belongs to which part, and nothing heavy before it is needed."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("chatbot", "finetune", "knowledge_base")
FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
} | {"app": ROOT / "app.py"}

# What the training may use of the conversation: its words, the form of a turn, the model and the gate it must pass.
FOR_TRAINING = (
    "types",
    "errors",
    "config",
    "labels",
    "prompt",
    "model",
    "engines",
    "calibration",
    "examples",
    "gate",
    "facts",
    "quantities",
    "sentences",
    "units",
    "writer",
)
OWNERS: Mapping[str, tuple[str, ...]] = {
    "gradio": ("chatbot.ui", "app"),
    "sqlalchemy": ("chatbot.store",),
    "alembic": ("chatbot.store",),
    "pysqlite3": ("chatbot.store",),
    "faiss": ("knowledge_base.index",),
    **dict.fromkeys(
        ("torch", "transformers", "peft", "sentence_transformers", "tokenizers", "accelerate", "gguf"),
        ("knowledge_base.encoder", "chatbot.engines", "finetune"),
    ),
    **dict.fromkeys(
        ("sklearn", "cleanlab", "matplotlib", "presidio_analyzer", "datasketch", "tensorboard"), ("finetune",)
    ),
    "scipy": ("finetune", "knowledge_base.regression", "knowledge_base.scorer", "knowledge_base.subjects"),
    "bm25s": ("knowledge_base.lexical",),
    **dict.fromkeys(("fastapi", "starlette", "uvicorn"), ("chatbot.web", "chatbot.ui", "app")),
}
HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "gradio",
    "faiss",
    "peft",
    "sklearn",
    "cleanlab",
    "presidio_analyzer",
    "matplotlib",
)
# Modules that are themselves of a heavy layer; everything else imports them where it needs them.
HEAVY_LAYERS: Mapping[str, tuple[str, ...]] = {
    "chatbot.ui": ("gradio",),
    **dict.fromkeys(
        (
            "finetune.student",
            "finetune.plan",
            "finetune.clock",
            "finetune.interruption",
            "finetune.checkpoints",
            "finetune.training",
            "finetune.reading",
            "finetune.fusion",
            "finetune.replies",
        ),
        ("torch", "transformers"),
    ),
}


def imports(file: Path) -> Iterator[str]:
    """Yield every absolute module name that a file imports, anywhere in it, also only for type checking."""
    module = next(name for name, path in FILES.items() if path == file)
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            yield base
            yield from (name for alias in node.names if (name := f"{base}.{alias.name}") in FILES)


def within(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


@pytest.mark.parametrize("module", FILES)
def test_imports_go_one_way(module: str) -> None:
    for imported in imports(FILES[module]):
        target = imported.split(".")[0]
        if target == "app":
            assert module == "app", f"{module} imports the composition root"
        if target not in PACKAGES:
            continue
        source = module.split(".")[0]
        if source == "knowledge_base":
            assert target == "knowledge_base", f"{module} imports {imported}"
        elif source == "chatbot" or module == "app":
            assert target != "finetune", f"{module} imports {imported}"
        elif source == "finetune" and target == "chatbot":
            assert any(within(imported, f"chatbot.{part}") for part in FOR_TRAINING) or imported == "chatbot", (
                f"{module} imports {imported}"
            )


@pytest.mark.parametrize("module", FILES)
def test_a_library_is_imported_only_by_the_part_it_belongs_to(module: str) -> None:
    for imported in imports(FILES[module]):
        owners = OWNERS.get(imported.split(".")[0])
        assert owners is None or any(within(module, owner) for owner in owners), f"{module} imports {imported}"


def called(file: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))


@pytest.mark.parametrize("module", FILES)
def test_no_module_unpickles_or_runs_remote_code(module: str) -> None:
    assert not {"pickle", "joblib", "dill", "shelve", "marshal"} & {
        name.split(".")[0] for name in imports(FILES[module])
    }
    for call in called(FILES[module]):
        assert ast.unparse(call.func) not in (
            "torch.load",
            "np.load",
            "eval",
            "exec",
            "yaml.unsafe_load",
            "yaml.full_load",
        ), ast.unparse(call)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given.get("trust_remote_code", "False") == "False"
        assert given.get("allow_pickle", "False") == "False"


PROBE = """
import importlib, json, sys
heavy, modules = json.loads(sys.stdin.read())
for name in modules:
    before = set(sys.modules)
    importlib.import_module(name)
    print(json.dumps([name, sorted(set(heavy) & (set(sys.modules) - before))]))
"""


def test_importing_a_module_loads_nothing_heavy() -> None:
    modules = [module for module in FILES if not any(within(module, layer) for layer in HEAVY_LAYERS)]
    modules = [module for module in modules if ".migrations." not in module]  # run by Alembic only
    probe = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps([HEAVY, modules]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    found = dict(json.loads(line) for line in probe.stdout.splitlines())
    assert set(found) == set(modules)
    assert {module: libraries for module, libraries in found.items() if libraries} == {}


COMMANDS = [
    module
    for module, file in FILES.items()
    if 'if __name__ == "__main__":\n    run(main)' in file.read_text(encoding="utf-8")
]


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "120"}
    command = [sys.executable, "app.py"] if module == "app" else [sys.executable, "-m", module]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120, check=False
    )


def test_a_command_computes_with_one_thread_of_numpys_and_leaves_the_cores_to_pytorch() -> None:
    code = (
        "from knowledge_base.command import run\n"
        "def main(argv):\n"
        "    import numpy, scipy.linalg\n"
        "    from threadpoolctl import threadpool_info\n"
        "    print([one['num_threads'] for one in threadpool_info() if one['user_api'] == 'blas'])\n"
        "    return 0\n"
        "run(main)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}

    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )

    threads = json.loads(found.stdout)
    assert threads, "numpy and scipy bring a BLAS of their own"
    assert set(threads) == {1}


def test_the_commands_of_the_contract_exist() -> None:
    assert set(COMMANDS) >= {
        "app", "chatbot.ask", "chatbot.init", "chatbot.export", "chatbot.erase", "chatbot.users",
        "knowledge_base.ingest", "knowledge_base.evaluate", "knowledge_base.snapshots", "finetune.discover", "finetune.lora", "finetune.evaluate", "finetune.calibrate",
    }  # fmt: skip


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_explains_itself_and_refuses_a_wrong_flag_in_one_sentence(module: str) -> None:
    explained = run(module, "--help")
    assert explained.returncode == 0
    assert explained.stdout.startswith("usage: ")
    assert explained.stderr == ""
    refused = run(module, "--no-such-flag")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("error: ")
    assert len(refused.stderr.splitlines()) == 1
    assert "Traceback" not in refused.stderr


def test_no_module_has_a_name_that_says_nothing() -> None:
    words = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert not [module for module in FILES if words & set(module.split("."))]
