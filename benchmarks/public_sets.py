"""Train on a public set by the project's own commands and measure on rows that the run never saw.

    python benchmarks/public_sets.py intents FILE --per_intent 20 --held_out 10 --max_minutes 12 --folder runs/banking77
    python benchmarks/public_sets.py intents FILE --per_intent 20 --unknown 17 --examples 10 --folder runs/unknown
    python benchmarks/public_sets.py intents FILE --test FILE --max_minutes 40 --folder runs/assistant
    python benchmarks/public_sets.py tags FILE --test FILE --conversations 1500 --max_minutes 25 --folder runs/multidogo
    python benchmarks/public_sets.py next_step FILE --conversations 1000 --held_out 200 --max_minutes 20 --folder runs/star

`intents` compares the model's rows, the encoder with logistic regression, and both together, and where the measured rows hold some that
are out of scope, it says how well these are told. With `--unknown N`, N intents
are taken out of training: how well the out-of-scope score tells their messages, and with `--examples K` how well they are
recognised as intents that are known by K examples only. `tags` trains one adapter on whole conversations and measures
another file, each tag of it (such as a service) apart. `next_step` compares the
model's rows with the most frequent step and with logistic regression on the encoder. Intervals are Wilson's at 95 %.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from finetune.card import wilson


def main() -> None:
    """Run one comparison and print it as JSON."""
    given = _parser().parse_args()
    folder = Path(given.folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = _rows(Path(given.file))
    random.Random(given.seed).shuffle(rows)  # noqa: S311 (a sample, not a secret)
    train, held_out = _sampled(rows, given)
    added: list[str] = []
    if given.unknown:
        train, held_out, examples = _without_some(train, held_out, given)
        if examples:
            (folder / "examples").mkdir(exist_ok=True)
            (folder / "examples" / "new.jsonl").write_text(_lines(examples), encoding="utf-8")
            added = ["--examples", str(folder / "examples")]
    for name, part in (("train", train), ("held_out", held_out)):
        (folder / f"{name}.jsonl").write_text(_lines(part), encoding="utf-8")
    if given.test:
        held_out = _rows(Path(given.test))
        (folder / "held_out.jsonl").write_text(_lines(held_out), encoding="utf-8")
    began = time.monotonic()
    _run("finetune.lora", "--dataset", str(folder / "train.jsonl"), "--output_dir", str(folder / "adapter"),
         "--max_minutes", str(given.max_minutes), "--seed", str(given.seed), "--split", *given.split, *given.flags)  # fmt: skip
    minutes = (time.monotonic() - began) / 60
    _run("finetune.evaluate", "--adapter", str(folder / "adapter"), "--dataset", str(folder / "held_out.jsonl"),
         "--json", str(folder / "report.json"), "--predictions", str(folder / "predictions.jsonl"),
         "--replies", "0", "--plots", str(folder / "plots"))  # fmt: skip
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if added:
        _run("finetune.evaluate", "--adapter", str(folder / "adapter"), "--dataset", str(folder / "held_out.jsonl"), *added,
             "--json", str(folder / "added.json"), "--predictions", str(folder / "added.jsonl"), "--replies", "0")  # fmt: skip
    result: dict[str, Any] = {"train": len(train), "held_out": len(held_out), "minutes": round(minutes, 1)}
    if given.task == "tags":
        result.update(_by_tag(folder, held_out, report))
    elif given.task == "intents":
        intent = report["intent"]
        for name, part in (("both", intent), ("model", intent["model"]), ("encoder", intent["encoder"])):
            result[name] = _with_interval(part["accuracy"], intent["n"])
        result["gain_over_encoder"] = intent["gain_over_encoder"]
        if "out_of_scope" in report:
            result["out_of_scope"] = report["out_of_scope"]
            result["trained_intents"] = intent["in_scope_accuracy"]
        if added:
            result["with_examples"] = _with_examples(folder, train)
    else:
        step = report["next_step"]
        result["model"] = _with_interval(step["accuracy"], step["n"])
        result.update(_step_baselines(train, held_out))
    print(json.dumps(result, indent=2))


def _with_interval(share: float, n: int) -> dict[str, Any]:
    low, high = wilson(round(share * n), n)
    return {"accuracy": round(share, 4), "n": n, "interval": [round(low, 4), round(high, 4)]}


def _sampled(rows: list[dict[str, Any]], given: argparse.Namespace) -> tuple[list[Any], list[Any]]:
    if given.task != "intents":
        return rows[: given.conversations], rows[given.conversations : given.conversations + given.held_out]
    by_intent = defaultdict(list)
    for row in rows:
        by_intent[row["messages"][0]["intent"]].append(row)
    if not given.per_intent:  # all rows, a tenth of them held out where no other file is measured
        cut = 0 if given.test else len(rows) // 10
        return rows[cut:], rows[:cut]
    train = [row for part in by_intent.values() for row in part[: given.per_intent]]
    ends = given.per_intent + given.held_out
    return train, [row for part in by_intent.values() for row in part[given.per_intent : ends]]


def _without_some(
    train: list[Any], held_out: list[Any], given: argparse.Namespace
) -> tuple[list[Any], list[Any], list[Any]]:
    """Take some intents out of training; return what trains, what is measured, and examples of what was taken out."""
    names = sorted({row["messages"][0]["intent"] for row in train})
    unknown = set(random.Random(given.seed).sample(names, given.unknown))  # noqa: S311 (a sample, not a secret)
    examples: dict[str, list[Any]] = defaultdict(list)
    for row in train:
        if row["messages"][0]["intent"] in unknown:
            examples[row["messages"][0]["intent"]].append(row)
    shown = [row for rows in examples.values() for row in rows[: given.examples]]
    return [row for row in train if row["messages"][0]["intent"] not in unknown], held_out, shown


def _with_examples(folder: Path, train: list[Any]) -> dict[str, Any]:
    """Return the accuracy on the trained intents and on those known by examples, each with the others beside them."""
    trained = {row["messages"][0]["intent"] for row in train}
    rows = [json.loads(line) for line in (folder / "added.jsonl").read_text(encoding="utf-8").splitlines()]
    found = {}
    for name, part in (
        ("trained_intents", [row for row in rows if row["intent"] in trained]),
        ("intents_by_examples", [row for row in rows if row["intent"] not in trained]),
    ):
        found[name] = _with_interval(sum(row["predicted"] == row["intent"] for row in part) / len(part), len(part))
    return found


def _by_tag(folder: Path, held_out: list[Any], report: dict[str, Any]) -> dict[str, Any]:
    """Return the accuracy of each witness and the out-of-scope score, for each first tag and for all.

    Messages with several intents are also counted apart: how often the two likeliest are both of them.
    """
    from knowledge_base.evaluate import auroc

    tags = {row["id"]: row["tags"][0] for row in held_out}
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    trained = {name for row in rows for name, _ in row["top"]}
    for row in rows:
        given = row["intent"] if isinstance(row["intent"], list) else [row["intent"]]
        row["true"] = {intent if intent in trained else "out_of_scope" for intent in given}
    result: dict[str, Any] = {}
    for tag in ["all", *sorted(set(tags.values()))]:
        part = [row for row in rows if tag in ("all", tags[row["id"]])]
        outside = [row["out_of_scope"] for row in part if row["true"] == {"out_of_scope"}]
        inside = [row["out_of_scope"] for row in part if row["true"] != {"out_of_scope"}]
        result[tag] = {
            **{
                name: _with_interval(sum(row[key] in row["true"] for row in part) / len(part), len(part))
                for name, key in (("both", "predicted"), ("model", "model"), ("encoder", "encoder"))
            },
            "out_of_scope": {"n": len(outside), "auroc": round(auroc(outside, inside), 4) if outside else None},
        }
    several = [row for row in rows if len(row["true"]) > 1]
    result["several_intents"] = {
        "n": len(several),
        "likeliest_is_one": sum(row["predicted"] in row["true"] for row in several),
        "two_likeliest_are_both": sum({name for name, _ in row["top"][:2]} <= row["true"] for row in several),
    }
    return {"gain_over_encoder": report["intent"]["gain_over_encoder"], **result}


def _lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _step_baselines(train: list[Any], held_out: list[Any]) -> dict[str, Any]:
    """Return the accuracy of the most frequent step, and of logistic regression on the last message's embedding."""
    from sklearn.linear_model import LogisticRegression

    from knowledge_base.encoder import load_encoder

    (texts, steps), (asked, truth) = _steps(train), _steps(held_out)
    frequent = Counter(steps).most_common(1)[0][0]
    encoder = load_encoder()
    model = LogisticRegression(C=10, max_iter=500).fit(encoder.encode(texts), steps)
    predicted = model.predict(encoder.encode(asked))
    return {
        "most_frequent": _with_interval(sum(t == frequent for t in truth) / len(truth), len(truth)),
        "encoder": _with_interval(sum(p == t for p, t in zip(predicted, truth, strict=True)) / len(truth), len(truth)),
    }


def _steps(rows: list[Any]) -> tuple[list[str], list[str]]:
    texts, steps = [], []
    for row in rows:
        messages = row["messages"]
        for before, after in pairwise(messages):
            if before["role"] == "user" and after["role"] == "assistant" and after.get("action"):
                texts.append(before["content"])
                steps.append(after["action"])
    return texts, steps


def _rows(path: Path) -> list[dict[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _run(module: str, *flags: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, *flags], check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{module} ended with exit code {done.returncode}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("intents", "tags", "next_step"))
    parser.add_argument("file", help="a transcript file of the public set")
    parser.add_argument("--folder", required=True, help="where samples, adapter and report go")
    parser.add_argument("--per_intent", type=int, default=0, help="training rows an intent; 0 means all")
    parser.add_argument("--unknown", type=int, default=0, help="intents that are taken out of training")
    parser.add_argument("--examples", type=int, default=0, help="messages by which each of them is known all the same")
    parser.add_argument("--conversations", type=int, default=1000, help="training conversations of tags and next_step")
    parser.add_argument("--test", default="", metavar="FILE", help="what is measured, in place of held-out rows")
    parser.add_argument("--held_out", type=int, default=10, help="measured rows an intent, or conversations")
    parser.add_argument("--max_minutes", type=float, default=30)
    parser.add_argument("--split", nargs=3, default=("0.9", "0.1", "0"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=[], help="further flags of finetune.lora")
    return parser


if __name__ == "__main__":
    main()
