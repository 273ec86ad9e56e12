"""The model card beside an adapter: what it was trained on, what came out, what it is not for, how to load it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.split import PARTS
from finetune.survey import languages
from knowledge_base.manifest import sha256_of

if TYPE_CHECKING:
    from chatbot.engines.bases import Base
    from finetune.arguments import LoraArguments
    from finetune.material import Material

SETTINGS = (
    "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "use_rslora", "learning_rate", "label_learning_rate",
    "weight_decay", "gradient_accumulation_steps", "pack_tokens", "max_length", "max_minutes", "seed",
)  # fmt: skip
HEADING = "# A customer-service adapter"
INTRODUCTION = """A plain LoRA adapter that Frontdesk trained. It reads what a customer wants (`intent`), what a person would do next
(`next_step`) and whether entries of a knowledge base answer (`support`), each as rows in `labels.safetensors` that are
multiplied with the last hidden state; and it writes replies from the entries that it is shown. No words of customers are
in this folder, but the sentence encoder's vectors of their messages are, in `labels.safetensors` and
`precedents.safetensors`: guard it as you would guard the chats."""
LIMITS = """- It is made to work inside Frontdesk, which shows it the company's entries, checks every fact of a reply against them
  and asks or declines where it is not sure. Loaded without that, it will state things that are not true.
- It knows the labels of its training data only, and what is said outside its data's languages and subjects was not
  measured.
- The figures hold for chats like those it was trained on, of the same company; where n is small the interval is wide.
- Not for advice on health, law or money, nor for decisions about people."""
LOADING = """In Frontdesk: `python app.py --adapter FOLDER`, which checks every file against `manifest.json` first. With PEFT alone:

```python
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

BASE, ADAPTER = "the folder of the base", "this folder"
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(BASE), ADAPTER)
rows = load_file(f"{ADAPTER}/labels.safetensors")  # (n_labels, hidden size) a set; their names are in labels.json
```
"""


def write_card(
    path: Path,
    arguments: LoraArguments,
    material: Material,
    base: Base,
    files: Sequence[Path],
    metrics: Mapping[str, Any],
    history: Sequence[Mapping[str, float]],
) -> None:
    """Write the card in place of PEFT's empty form; customers' words and paths of the machine are not in it."""
    spoken = languages(material.transcripts)
    parts = [
        "\n".join(_front_matter(base, spoken)),
        HEADING,
        INTRODUCTION,
        "## Base\n\n" + _base(base),
        "## Data\n\n" + "\n".join(_data(material, files, spoken)),
        "## Settings\n\n" + "\n".join(_settings(arguments, history)),
        "## Figures\n\n" + "\n".join(_figures(metrics)),
        "## Limits\n\n" + LIMITS,
        "## Loading\n\n" + LOADING,
    ]
    path.write_text("\n\n".join(parts), encoding="utf-8")


def _front_matter(base: Base, spoken: Mapping[str, int]) -> Iterator[str]:
    """Yield the metadata that the Hugging Face hub reads; a base that it does not know is left out."""
    yield "---"
    if base.source:
        yield f"base_model: {base.source}"
    if base.license:
        yield f"license: {base.license}"
    if spoken:
        yield f"language: [{', '.join(sorted(spoken))}]"
    yield "library_name: peft"
    yield "pipeline_tag: text-generation"
    yield "tags: [lora, customer-service, frontdesk]"
    yield "---"


def _base(base: Base) -> str:
    made = f", made of `{base.source}`" if base.source else ""
    under = f" Its license ({base.license}) holds for what is done with this adapter too." if base.license else ""
    return f"`{base.name}`{made}; sha256 of the weights: `{base.sha256}`. With other weights the figures do not hold.{under}"


def _data(material: Material, files: Sequence[Path], spoken: Mapping[str, int]) -> Iterator[str]:
    yield "| file | sha256 | conversations | messages | with an intent | with a next step |"
    yield "|---|---|---|---|---|---|"
    for file in files:
        own = [one for one in material.transcripts if one.source.rpartition(":")[0] == str(file)]
        messages = [message for transcript in own for message in transcript.messages]
        labelled = sum(bool(message.intents) for message in messages)
        steps = sum(bool(message.action) for message in messages)
        counts = f"{len(own):,} | {len(messages):,} | {labelled:,} | {steps:,}"
        yield f"| {file.name} | `{sha256_of(file)}` | {counts} |"
    yield ""
    sizes = {name: len(getattr(material.split, name)) for name in PARTS}
    yield f"- parts, in conversations: {_counted(sizes)}; near-duplicates stand in one part"
    yield f"- labels: {_counted({name: len(labels) for name, labels in material.labels.sets.items()})}"
    yield f"- replies: {_counted(material.replies)}"
    yield f"- replaced before training: {_counted(material.redacted)}"
    yield f"- questions of the knowledge that trained too: {len(material.questions):,}"
    yield f"- languages, of the conversations looked at: {_counted(spoken)}"


def _counted(counts: Mapping[str, int] | Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


def _settings(arguments: LoraArguments, history: Sequence[Mapping[str, float]]) -> Iterator[str]:
    for name in SETTINGS:
        value = getattr(arguments, name)
        yield f"- {name}: {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
    yield f"- steps taken: {int(max((row['step'] for row in history), default=0)):,}; every argument is in `run.json`"


def _figures(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table of the test part, with Wilson's intervals (1927) at 95 %."""
    names = {
        ("intent", "both"): "intent right, both witnesses",
        ("intent", "model"): "intent right, this adapter's rows",
        ("intent", "encoder"): "intent right, the sentence encoder",
        ("next_step", "accuracy"): "next step right",
        ("next_step", "most_frequent"): "next step right if it were always the most frequent",
    }
    yield "Of the test part, which trained nothing:"
    yield ""
    yield "| | n | right | 95 % interval |"
    yield "|---|---|---|---|"
    for (group, key), what in names.items():
        if key in metrics.get(group, {}):
            n, share = metrics[group]["n"], metrics[group][key]
            low, high = wilson(round(share * n), n)
            yield f"| {what} | {n:,} | {share:.1%} | {low:.1%} to {high:.1%} |"
    if "reply" in metrics:
        reply = metrics["reply"]
        yield ""
        yield f"Perplexity of people's replies: {reply['perplexity']:.2f} a token (n = {reply['words']:,} tokens)."


def wilson(right: int, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of `right` of n (Wilson 1927)."""
    from scipy.stats import binomtest

    found = binomtest(right, n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)
