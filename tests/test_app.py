"""The start: parts that are missing or do not fit end it with one sentence, before anything is made or served."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import app
from knowledge_base.errors import FrontdeskError

SHOP = Path(__file__).parents[1] / "examples" / "shop"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "expected a knowledge home"),
        (["--knowledge", "nowhere"], "nowhere: expected a knowledge home"),
        (["--knowledge", "{empty}"], "without CURRENT"),
        (["--config", "{empty}/absent.yaml"], "expected a settings file"),
        (["--knowledge", "{empty}", "--adapter", "{empty}/absent"], "--adapter"),
    ],
)
def test_what_is_missing_is_told_and_nothing_is_made(tmp_path: Path, flags: list[str], sentence: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    given = [flag.format(empty=empty) for flag in flags]
    with pytest.raises(FrontdeskError, match=sentence) as caught:
        app.main(["--data-dir", str(tmp_path / "data"), *given])
    assert caught.value.exit_code == 2
    assert not (tmp_path / "data").exists()


def test_a_calibration_of_another_adapter_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "data" / "knowledge"
    home.mkdir(parents=True)
    (home / "CURRENT").write_text("20260101T000000Z-00000000\n")
    shutil.copytree(SHOP / "calibration", tmp_path / "calibration")
    with pytest.raises(FrontdeskError, match="fitted with another adapter"):
        app.main(["--data-dir", str(tmp_path / "data"), "--calibration", str(tmp_path / "calibration")])
