"""Settings: environment over file over defaults, and a slip of the pen is told."""

from __future__ import annotations

import contextlib
import re
from importlib import resources
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chatbot.config import SETTINGS_FILE, Intent, Limits, Settings, load_settings
from chatbot.errors import SettingsError


def folder(tmp_path: Path, text: str) -> Path:
    (tmp_path / SETTINGS_FILE).write_text(text, encoding="utf-8")
    return tmp_path


def refusal(data_dir: Path | None, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(data_dir, environ or {})
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_environment_goes_before_file_before_defaults(tmp_path: Path) -> None:
    data_dir = folder(tmp_path, "company: Lumen\ncontact: Call us.\nlimits: {turn_seconds: 30, waiting_turns: 5}\n")
    settings = load_settings(data_dir, {"FRONTDESK_COMPANY": "Lumen Lights", "FRONTDESK_LIMITS__TURN_SECONDS": "9"})
    assert (settings.company, settings.contact, settings.max_error) == ("Lumen Lights", "Call us.", 0.05)
    assert settings.limits == Limits(turn_seconds=9, waiting_turns=5)


def test_a_file_of_another_name_takes_the_place_of_the_one_in_the_data_folder(tmp_path: Path) -> None:
    data_dir = folder(tmp_path, "company: Lumen\n")
    other = tmp_path / "staging.yaml"
    other.write_text("company: Staging\n", encoding="utf-8")
    assert load_settings(data_dir, {}, other).company == "Staging"
    with pytest.raises(SettingsError, match=r"--config .*absent.yaml: expected a settings file"):
        load_settings(data_dir, {}, tmp_path / "absent.yaml")


def test_the_process_environment_counts_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_COMPANY", "Lumen")
    assert load_settings(None).company == "Lumen"
    assert load_settings(None, {}).company != "Lumen"


def test_lists_and_sections_come_from_the_environment_as_json() -> None:
    variables = {"FRONTDESK_STARTERS": '["Where is my order?"]', "FRONTDESK_INTENTS": '{"track": {"strict": true}}'}
    settings = load_settings(None, variables)
    assert settings.starters == ["Where is my order?"]
    assert settings.intents == {"track": Intent(strict=True)}
    assert "FRONTDESK_STARTERS: expected JSON" in refusal(None, {"FRONTDESK_STARTERS": "Where is my order?"})


def test_variables_of_others_do_not_matter() -> None:
    assert load_settings(None, {"COMPANY": "x", "PATH": "/bin", "FRONTDESKTOP": "x"}) == Settings()


@pytest.mark.parametrize("text", ["", "# nothing\n", "limits:\n#  turn_seconds: 30\n", "intents: {}\nstarters:\n"])
def test_what_is_left_out_has_its_default(tmp_path: Path, text: str) -> None:
    assert load_settings(folder(tmp_path, text), {}) == Settings()
    assert load_settings(tmp_path / "without a file", {}) == Settings()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("compny: x", "unknown setting `compny`, did you mean `company`?"),
        ("limits: {turn_second: 3}", "unknown setting `limits.turn_second`, did you mean `turn_seconds`?"),
        ("intents: {track: {titel: {}}}", "unknown setting `intents.track.titel`, did you mean `title`?"),
        ("intents: {track: {title: Where}}", "`intents.track.title`: expected a valid dictionary, got 'Where'."),
        ("max_error: 2", "`max_error`: expected less than 1, got 2."),
        ("limits: {waiting_turns: 0}", "`limits.waiting_turns`: expected greater than or equal to 1, got 0."),
        ("languages: [en, no]", "`languages.1`: expected a valid string, got False."),
        ("languages: []", "`languages`"),
        ("allowed_origins: ['https://a.example/page']", "expected an origin such as https://www.example.com"),
        ("allowed_origins: ['*']", "expected an origin such as https://www.example.com"),
        ("- a\n- b", "expected settings such as `company: Lumen`, got list."),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_in_a_sentence_that_names_it(
    tmp_path: Path, text: str, sentence: str
) -> None:
    told = refusal(folder(tmp_path, text))
    assert told.startswith(f"{tmp_path / SETTINGS_FILE}: ")
    assert sentence in told


def test_a_setting_far_from_any_known_one_is_told_with_all_that_exist(tmp_path: Path) -> None:
    assert "Settings here: message_characters, " in refusal(folder(tmp_path, "limits: {xyzzy: 1}"))


def test_a_variable_that_cannot_be_used_is_told_by_its_own_name() -> None:
    assert refusal(None, {"FRONTDESK_COMPNY": "x"}) == (
        "FRONTDESK_COMPNY: unknown setting `compny`, did you mean `company`?"
    )
    assert refusal(None, {"FRONTDESK_LIMITS__TURN_SECONDS": "soon"}).startswith("FRONTDESK_LIMITS__TURN_SECONDS: ")
    assert refusal(None, {"FRONTDESK_CONTACT__PHONE": "1"}).endswith("`contact` has no parts. Set FRONTDESK_CONTACT.")
    assert refusal(None, {"FRONTDESK_ALLOWED_ORIGINS": '["x"]'}).startswith("FRONTDESK_ALLOWED_ORIGINS: ")


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    assert len(refusal(folder(tmp_path, "compny: x\nmax_error: 2\nlimits: {turn_second: 3}")).splitlines()) == 3


def test_broken_yaml_and_a_key_given_twice_are_told_with_their_line(tmp_path: Path) -> None:
    assert f"{SETTINGS_FILE}:2: not valid YAML" in refusal(folder(tmp_path, "company: x\n  contact: y: z\n"))
    assert f"{SETTINGS_FILE}:3: not valid YAML: `company` is given twice" in refusal(
        folder(tmp_path, "company: x\ncontact: y\ncompany: z\n")
    )
    (tmp_path / SETTINGS_FILE).write_bytes("company: Größe".encode("latin-1"))
    assert "UTF-8" in refusal(tmp_path)


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    assert "not valid YAML" in refusal(folder(tmp_path, f"company: !!python/object/apply:os.mkdir ['{marker}']"))
    assert not marker.exists()


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_file_gives_settings_or_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    data_dir = tmp_path_factory.mktemp("any")
    (data_dir / SETTINGS_FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    with contextlib.suppress(SettingsError):
        assert isinstance(load_settings(data_dir, {}), Settings)


def test_settings_cannot_be_changed_after_loading() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().company = "x"


def test_the_commented_file_holds_every_setting_at_its_default_and_explains_it(tmp_path: Path) -> None:
    text = resources.files("chatbot").joinpath(SETTINGS_FILE).read_text(encoding="utf-8")
    assert load_settings(folder(tmp_path, text), {}) == Settings()
    assert set(yaml.safe_load(text)) == set(Settings.model_fields)
    assert set(yaml.safe_load(text)["limits"]) == set(Limits.model_fields)
    for name in Intent.model_fields:
        assert re.search(rf"^# - {name}: ", text, re.MULTILINE), name
    for setting in re.finditer(r"^ *[a-z_]+:", text, re.MULTILINE):
        above = text[: setting.start()].rstrip("\n").splitlines()[-1]
        assert above.lstrip().startswith("#") or above == "limits:", setting.group()


def test_the_examples_in_the_commented_file_work_when_they_are_uncommented(tmp_path: Path) -> None:
    text = resources.files("chatbot").joinpath(SETTINGS_FILE).read_text(encoding="utf-8")
    settings = load_settings(folder(tmp_path, re.sub("^#(?=  )", "", text, flags=re.MULTILINE)), {})
    assert settings.starters == ["Where is my order?", "How do I return something?"]
    assert settings.allowed_origins == ["https://www.example.com"]
    assert settings.intents["track_order"].title == {"en": "Where is my order?"}
