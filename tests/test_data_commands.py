"""The commands that make a data folder, hand its conversations on, erase visitors and name operators."""

from __future__ import annotations

import gzip
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from chatbot import erase, export, init, users
from chatbot.config import Settings, load_settings
from chatbot.data_folder import DATABASE_FILE, FOLDERS, hold, session_secret
from chatbot.errors import InputError
from chatbot.store import Store
from chatbot.types import Decision, Reply, TurnRequest
from finetune.transcripts import read_files
from knowledge_base.command import EXIT_DONE

ROOT = Path(__file__).parent.parent
HOLD = """
import sys, time
from pathlib import Path
from chatbot.data_folder import hold

with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def data_dir(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "data"
    assert init.main([str(path)]) == EXIT_DONE
    capsys.readouterr()
    return path


def chat(data_dir: Path, visitor: str = "ann", text: str = "where is my order?") -> str:
    with Store.open(data_dir / DATABASE_FILE) as store:
        message = store.add_message(TurnRequest(visitor, None, text, ""))
        store.finish_turn(
            store.begin_turn(message.id),
            Reply("It left this morning.", "approved", "entry_answers"),
            decision=Decision("approved", "entry_answers"),
            understanding=None,
            trace={},
        )
    return message.conversation_id


def command(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, input=text, env=environment, check=False
    )


def test_init_makes_the_layout_with_settings_that_load_unchanged(data_dir: Path) -> None:
    assert {path.name for path in data_dir.iterdir()} >= {"frontdesk.yaml", "frontdesk.db", "secret", *FOLDERS}
    assert load_settings(data_dir, {}) == Settings()
    with Store.open(data_dir / DATABASE_FILE) as store:
        assert store.conversations("ann") == []


def test_init_takes_an_empty_folder_and_refuses_one_in_use(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert init.main([str(tmp_path / "empty")]) == EXIT_DONE
    before = sorted(data_dir.rglob("*"))
    with pytest.raises(InputError, match="Choose another"):
        init.main([str(data_dir)])
    assert sorted(data_dir.rglob("*")) == before
    with pytest.raises(InputError, match=r"frontdesk\.yaml"):
        init.main([str(data_dir / "frontdesk.yaml")])


def test_the_secret_is_made_once_for_its_owner_only(data_dir: Path) -> None:
    secret = session_secret(data_dir)
    assert len(secret) >= 32
    assert session_secret(data_dir) == secret
    assert (data_dir / "secret").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in data_dir.glob("secret*")) == ["secret"]
    (data_dir / "secret").unlink()
    assert session_secret(data_dir) != secret


def test_a_secret_that_others_can_read_or_that_is_too_short_is_refused(data_dir: Path) -> None:
    (data_dir / "secret").chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        session_secret(data_dir)
    (data_dir / "secret").chmod(0o600)
    (data_dir / "secret").write_text("short")
    with pytest.raises(InputError, match="Delete the file"):
        session_secret(data_dir)


def test_a_folder_that_another_process_holds_is_refused_until_that_process_dies(data_dir: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    holding = [sys.executable, "-c", HOLD, str(data_dir)]
    with subprocess.Popen(holding, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        for _ in range(2):  # the first refusal must leave the name of the holder in place
            with pytest.raises(InputError, match=rf"in use by -c \(process {holder.pid}\)\. Stop it"), hold(data_dir):
                pass
        refused = command("chatbot.erase", "--data-dir", str(data_dir), "--visitor", "ann")
        assert refused.returncode == 2
        assert "in use" in refused.stderr
        holder.send_signal(signal.SIGKILL)
    with hold(data_dir):
        pass
    with hold(data_dir):
        pass


def test_a_folder_that_does_not_exist_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"python -m chatbot\.init"), hold(tmp_path / "nowhere"):
        pass


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_export_writes_a_conversation_a_line(data_dir: Path, tmp_path: Path, name: str) -> None:
    conversation = chat(data_dir, text="wo ist die Größe? 📦")
    out = tmp_path / name
    assert export.main(["--data-dir", str(data_dir), "--out", str(out)]) == EXIT_DONE
    content = gzip.decompress(out.read_bytes()) if name.endswith(".gz") else out.read_bytes()
    (transcript,) = [json.loads(line) for line in content.decode("utf-8").splitlines()]
    assert transcript["id"] == conversation
    said = [message["content"] for message in transcript["messages"]]
    assert said == ["wo ist die Größe? 📦", "It left this morning."]
    reading = read_files([out])
    read, refusals = reading.transcripts, reading.refusals
    assert [(t.id, [m.content for m in t.messages]) for t in read] == [(conversation, said)]
    assert refusals == []
    assert {path.name for path in tmp_path.iterdir()} == {"data", name}


def test_export_never_overwrites_and_goes_to_standard_output_by_default(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chat(data_dir)
    out = tmp_path / "out.jsonl"
    out.write_text("mine")
    with pytest.raises(InputError, match="Choose another name"):
        export.main(["--data-dir", str(data_dir), "--out", str(out)])
    assert out.read_text() == "mine"
    assert export.main(["--data-dir", str(data_dir)]) == EXIT_DONE
    assert json.loads(capsys.readouterr().out)["messages"][0]["content"] == "where is my order?"


def test_export_works_while_the_app_holds_the_folder(data_dir: Path) -> None:
    with hold(data_dir), Store.open(data_dir / DATABASE_FILE) as store:
        store.add_message(TurnRequest("ann", None, "not yet folded into the file", ""))
        done = command("chatbot.export", "--data-dir", str(data_dir))
    assert (done.returncode, done.stderr) == (0, "1 conversations written\n")
    assert json.loads(done.stdout)["messages"] == [{"role": "user", "content": "not yet folded into the file"}]


@pytest.mark.parametrize("module", ["chatbot.export", "chatbot.users"])
def test_reading_without_a_database_is_a_sentence_and_makes_nothing(tmp_path: Path, module: str) -> None:
    action = ["list"] if module == "chatbot.users" else []
    refused = command(module, *action, "--data-dir", str(tmp_path / "nowhere"))
    assert refused.returncode != 0
    assert refused.stderr.startswith("error: ")
    assert len(refused.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_erase_deletes_a_visitor_and_says_how_much(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chat(data_dir, "ann", "kryptonite-4711")
    chat(data_dir, "ben", "still here")
    assert erase.main(["--data-dir", str(data_dir), "--visitor", "ann"]) == EXIT_DONE
    told = capsys.readouterr().out.splitlines()
    assert "conversations: 1 deleted" in told
    assert "messages: 2 deleted" in told
    assert not any(b"kryptonite-4711" in path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    with Store.open(data_dir / DATABASE_FILE) as store:
        assert len(store.conversations("ben")) == 1


def test_erasing_an_unknown_visitor_is_refused_with_exit_code_2(data_dir: Path) -> None:
    refused = command("chatbot.erase", "--data-dir", str(data_dir), "--visitor", "nobody")
    assert refused.returncode == 2
    assert refused.stderr == "error: --visitor nobody: nothing is kept about this visitor. Check the id.\n"


def test_an_operator_is_added_listed_and_removed(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--data-dir", str(data_dir)]
    added = command(
        "chatbot.users", "add", "ann", "--role", "operator", "--password-stdin", *place, text="long enough\n"
    )
    assert (added.returncode, added.stdout) == (0, "ann may sign in as operator\n")
    with Store.open(data_dir / DATABASE_FILE) as store:
        assert store.verify_user("ann", "long enough") is not None
    assert users.main(["list", *place]) == EXIT_DONE
    assert capsys.readouterr().out.startswith("ann\toperator\tsince ")
    assert users.main(["remove", "ann", *place]) == EXIT_DONE
    with pytest.raises(InputError, match="no user of this name"):
        users.main(["remove", "ann", *place])


@pytest.mark.parametrize(
    ("arguments", "password"),
    [
        (["add", "ann", "--password-stdin"], "short\n"),
        (["add", "ann"], "no terminal\n"),
        (["add", "ann", "--role", "king"], ""),
    ],
)
def test_a_user_that_cannot_be_added_is_refused_with_exit_code_2(
    data_dir: Path, arguments: Sequence[str], password: str
) -> None:
    refused = command("chatbot.users", *arguments, "--data-dir", str(data_dir), text=password)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(("second", "code"), [("long enough", 0), ("something else", 2)])
def test_a_password_is_asked_for_twice_on_a_terminal_and_never_shown(data_dir: Path, second: str, code: int) -> None:
    arguments = ["-m", "chatbot.users", "add", "ann", "--data-dir", str(data_dir)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        env=environment,
    ) as asked:  # fmt: skip
        os.close(terminal)
        shown = b""
        for prompt, answer in ((b"Password: ", "long enough"), (b"Again: ", second)):
            while not shown.endswith(prompt):
                shown += os.read(controller, 1000)
            os.write(controller, answer.encode() + b"\n")
        assert asked.wait(30) == code
    os.close(controller)
    assert b"long enough" not in shown


def test_nobody_may_sign_in_to_a_folder_that_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    given = ["add", "ann", "--password-stdin", "--data-dir"]
    refused = command("chatbot.users", *given, str(tmp_path), text="long enough\n")
    assert refused.returncode == 2
    assert f"{tmp_path}: expected a data folder" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"], "nothing was made"


@pytest.mark.parametrize("module", ["chatbot.init", "chatbot.export", "chatbot.erase", "chatbot.users"])
def test_help_answers_without_loading_the_database_libraries(module: str) -> None:
    code = (
        f"import sys, runpy; sys.argv = ['{module}', '--help']\n"
        f"try: runpy.run_module('{module}', run_name='__main__')\n"
        "except SystemExit as leaving: assert leaving.code == 0\n"
        "heavy = {'sqlalchemy', 'alembic', 'argon2', 'torch', 'gradio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout
