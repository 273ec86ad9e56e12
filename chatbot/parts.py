"""Finding and loading what the bot answers with: encoder, knowledge, adapter and calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chatbot.bot import Parts
from chatbot.errors import InputError

if TYPE_CHECKING:
    from chatbot.config import Settings


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts are; None for a part that there is not. `base` is "" or another place of the base weights.

    `examples` is the folder of the labelled messages that were added since the training; it need not exist.
    """

    knowledge: Path
    adapter: Path | None
    calibration: Path | None
    base: str
    examples: Path | None = None


def find_parts(data_dir: Path | None, knowledge: str, adapter: str, calibration: str, base: str) -> Places:
    """Return the places that are given, and for the others the newest in the data folder.

    Raises:
        InputError: there is no knowledge, or a given folder does not exist.
    """
    home = Path(knowledge) if knowledge else (data_dir / "knowledge" if data_dir else None)
    if home is None or not home.is_dir():
        where = home or "--knowledge"
        raise InputError(f"{where}: expected a knowledge home, found none. Make one: python -m knowledge_base.ingest.")
    adapter_folder = _given_or_newest("--adapter", adapter, data_dir, "adapters")
    # A calibration in the data folder may belong to an adapter that is given by hand, or the other way round.
    fallback = data_dir if not adapter or calibration else None
    calibration_folder = _given_or_newest("--calibration", calibration, fallback, "calibrations")
    examples = data_dir / "examples" if data_dir else None
    return Places(home, adapter_folder, calibration_folder, base, examples)


def _given_or_newest(flag: str, given: str, data_dir: Path | None, name: str) -> Path | None:
    if given:
        if not Path(given).is_dir():
            raise InputError(f"{flag} {given}: expected a folder, found none. Check the path.")
        return Path(given)
    found = (data_dir / name).glob("*/manifest.json") if data_dir else []
    folders = [path for path in found if not path.parent.name.endswith(".partial")]
    return max(folders, key=lambda path: path.stat().st_mtime).parent if folders else None


def check_parts(places: Places, settings: Settings) -> None:
    """Check, before anything is loaded, that every part is there, whole, and fits the others.

    Raises:
        InputError: a part is missing, altered, or does not fit the others.
    """
    from knowledge_base.encoder import locate_encoder
    from knowledge_base.snapshots import current_id

    encoder = locate_encoder(settings.encoder)
    current_id(places.knowledge)
    adapter = ""
    if places.adapter is not None:
        from chatbot.model import Adapter

        opened = Adapter.open(places.adapter)
        opened.require_encoder(encoder.sha256)
        adapter = opened.sha256
    if places.calibration is not None:
        from chatbot.calibration import Calibration

        Calibration.load(places.calibration).require(adapter, encoder.sha256)


def load_parts(places: Places, settings: Settings, tell: Callable[[str], None]) -> Parts:
    """Load everything, telling what is being loaded; each part is verified before it is used.

    Raises:
        InputError: a part is missing, altered, or does not fit the others.
    """
    tell("the sentence encoder")
    from knowledge_base.encoder import load_encoder

    encoder = load_encoder(settings.encoder)
    tell("the knowledge")
    from chatbot.model import Adapter, DialogueModel
    from knowledge_base.search import KnowledgeBase

    adapter = Adapter.open(places.adapter) if places.adapter else None
    if adapter:
        adapter.require_encoder(encoder.sha256)  # its precedents are vectors of its encoder
    knowledge = KnowledgeBase.open(places.knowledge, encoder, adapter.precedents() if adapter else None)
    model = None
    if adapter:
        tell("the language model")
        model = DialogueModel.load(adapter, encoder, places.base, places.examples)
    calibration = None
    if places.calibration is not None:
        tell("the calibration")
        from chatbot.calibration import Calibration

        calibration = Calibration.load(places.calibration)
        calibration.require(model.sha256 if model else "", encoder.sha256)
    return Parts(knowledge, model, calibration)
