"""The documentation names what exists: commands, flags, targets, settings, kinds, links and pins."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chatbot.config import Limits, Settings
from chatbot.types import KINDS, Reason
from knowledge_base import command

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "examples" / "README.md", ROOT / "benchmarks" / "README.md"]
)
SUBCOMMANDS = {
    "chatbot.users": ("add", "list", "remove"),
    "knowledge_base.snapshots": ("history", "rollback", "verify"),
}
COMMAND = re.compile(r"python(?:3)? (?:-m (?P<module>[a-z_]+\.[a-z_]+)|(?P<script>[a-z_/]+\.py))")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z_-]*")


def our_commands() -> list[str]:
    """The modules that can be run, and the app, found by their last lines."""
    sources = [
        file for package in ("chatbot", "finetune", "knowledge_base") for file in ROOT.glob(f"{package}/**/*.py")
    ]
    ran = [file for file in sources if '\nif __name__ == "__main__":\n    run(main)\n' in file.read_text("utf-8")]
    return sorted(file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for file in ran)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def help_of(name: str) -> str:
    start = [name] if name.endswith(".py") else ["-m", name]
    texts = []
    for subcommand in ((), *((part,) for part in SUBCOMMANDS.get(name, ()))):
        ended = subprocess.run(
            [sys.executable, *start, *subcommand, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 0, ended.stderr
        texts.append(ended.stdout)
    return "\n".join(texts)


def mentions() -> Iterator[tuple[Path, str, str]]:
    """Yield (page, line, command) for each command that a line names."""
    for page in PAGES:
        for line in text_of(page).splitlines():
            for match in COMMAND.finditer(line):
                yield page, line, match["module"] or match["script"]


def test_there_are_pages_and_commands_to_look_at() -> None:
    assert len(PAGES) >= 9
    assert {"chatbot.init", "finetune.lora", "knowledge_base.ingest"} <= set(our_commands())
    assert {name for _, _, name in mentions()} >= {"app.py", "finetune.calibrate"}


@pytest.mark.parametrize("name", [*our_commands(), "app.py"])
def test_every_command_explains_itself_and_its_flags(name: str) -> None:
    text = help_of(name)
    assert name in text.splitlines()[0], "the usage does not say how the command is started"
    described = text.split("\n\n")[1]
    assert len(described) > 20, "no sentence says what the command does"
    options = [block.partition("\n\n")[0] for block in re.split(r"\n  (?=-)", text)[1:]]
    bare = [option for option in options if not re.search(r"(?:\S {2,}|\n {10,})\S", option)]
    assert bare == [], "flags without a word of help"


@pytest.mark.parametrize("name", [*our_commands(), "app.py"])
def test_every_command_stands_in_the_readme(name: str) -> None:
    start = f"python {name}" if name.endswith(".py") else f"python -m {name}"
    assert f"| `{start}" in text_of(ROOT / "README.md")


def test_every_command_that_the_pages_name_exists() -> None:
    known = set(our_commands())
    for page, _, name in mentions():
        if name.endswith(".py"):
            assert (ROOT / name).is_file(), f"{page.name}: {name}"
        else:
            assert name in known, f"{page.name}: python -m {name}"


def test_every_flag_beside_a_command_is_one_of_its_flags() -> None:
    lines: dict[tuple[str, str], set[str]] = {}
    for page, line, name in mentions():
        lines.setdefault((page.name, line), set()).add(name)
    checked = 0
    for (page_name, line), names in lines.items():
        known = " ".join(help_of(name) for name in names if not name.startswith("benchmarks/"))
        for flag in FLAG.findall(line) if known else ():
            assert re.search(rf"{flag}(?![\w-])", known), f"{page_name}: {flag} in: {line}"
            checked += 1
    assert checked > 30


def test_every_make_target_that_the_pages_name_exists_and_the_readme_names_the_four() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    code = re.compile(r"```bash\n(.*?)```|`([^`\n]+)`", re.DOTALL)
    for page in PAGES:
        spoken = "\n".join("".join(found) for found in code.findall(text_of(page)))
        for target in re.findall(r"^make ([a-z]+)", spoken, re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"
    for target in ("install", "run", "test", "endurance"):
        assert f"`make {target}`" in text_of(ROOT / "README.md")


def test_relative_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
            if target.startswith(("http://", "https://", "mailto:")):
                continue
            name, _, anchor = target.partition("#")
            place = (page.parent / name) if name else page
            assert place.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", text_of(place), re.MULTILINE)
                assert anchor in {_anchor(heading) for heading in headings}, f"{page.name}: {target}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def test_the_readme_knows_every_kind_reason_and_exit_code() -> None:
    readme = text_of(ROOT / "README.md")
    for word in (*KINDS, *get_args(Reason)):
        assert f"`{word}`" in readme, word
    for name, code in vars(command).items():
        if name.startswith("EXIT_"):
            assert re.search(rf"^\| {code} \|", readme, re.MULTILINE), f"{name} = {code}"


def test_every_setting_stands_in_the_page_on_operating_and_in_the_commented_file() -> None:
    page, commented = text_of(ROOT / "docs" / "operating.md"), text_of(ROOT / "chatbot" / "frontdesk.yaml")
    names = [name for name in Settings.model_fields if name != "limits"]
    for name in (*names, *(f"limits.{name}" for name in Limits.model_fields)):
        assert f"| `{name}` |" in page, name
        assert re.search(rf"^ *{name.removeprefix('limits.')}:", commented, re.MULTILINE), name


def test_what_we_depend_on_is_pinned_to_one_released_version() -> None:
    lines = [line for line in text_of(ROOT / "constraints.txt").splitlines() if line and not line.startswith("#")]
    pins = [Requirement(line) for line in lines]
    for pin in pins:
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier)), f"{pin}: expected one version without a tag"
        assert pin.url is None
    pinned = {canonicalize_name(pin.name): pin for pin in pins}
    assert len(pinned) == len(pins), "a package is pinned twice"
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    wanted += [line for extra in project["project"]["optional-dependencies"].values() for line in extra]
    for requirement in map(Requirement, wanted):
        pin = pinned[canonicalize_name(requirement.name)]
        version = str(pin.specifier).removeprefix("==")
        assert requirement.specifier.contains(version), f"{pin} is not {requirement}"
