"""What a killed process had acknowledged is there when it starts again. `benchmarks/store_kills.py` kills more."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from chatbot.store import Store
from chatbot.store.sqlite import check

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

MAKE_TABLES = """
import sys
from pathlib import Path
import alembic.command
from chatbot.store import Store

print("ready", flush=True)
Store.open(Path(sys.argv[1])).close()
"""

NO_SPACE = """
import resource, signal, sys
from pathlib import Path
from chatbot.errors import StoreError
from chatbot.store import Store
from chatbot.types import TurnRequest

path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.open(path)
first = store.add_message(TurnRequest("ann", None, "first", "c"))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(path.name + "-wal").stat().st_size + 200_000, hard))
acknowledged, refused = [first.id], ""
while not refused and len(acknowledged) < 1000:
    try:
        content = "x" * 10_000
        acknowledged.append(store.add_message(TurnRequest("ann", first.conversation_id, content, "")).id)
    except StoreError as error:
        refused = str(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
after = store.add_message(TurnRequest("ann", first.conversation_id, "after", "")).id
kept = [message.id for message in store.conversation(first.conversation_id, "ann")]
assert refused, "the limit was not reached"
assert kept == [*acknowledged, after], "what was acknowledged and what is kept differ"
print(len(acknowledged), refused)
store.close()
"""


def test_no_acknowledged_row_is_lost_or_doubled_when_the_writer_is_killed() -> None:
    seed = secrets.randbelow(2**32)
    command = [sys.executable, "benchmarks/store_kills.py", "--cycles", "6", "--seed", str(seed), "--json", "-"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
    findings = json.loads(done.stdout)
    assert findings["kills"] == 6
    assert findings["acknowledged"] >= 6


def test_a_process_killed_while_it_makes_the_tables_leaves_a_file_that_opens(tmp_path: Path) -> None:
    killed = 0
    for attempt in range(6):
        path = tmp_path / f"{attempt}.db"
        command = [sys.executable, "-c", MAKE_TABLES, str(path)]
        with subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(attempt * 0.01)
            child.kill()
        killed += child.returncode == -signal.SIGKILL
        with Store.open(path) as store:
            assert store.conversations("ann") == []
        check(path)
    assert killed > 0


def test_a_full_disk_is_told_acknowledges_nothing_and_passes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NO_SPACE, str(tmp_path / "frontdesk.db")]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    count, _, refused = done.stdout.partition(" ")
    assert int(count) > 1
    assert "frontdesk.db: the database failed: " in refused
