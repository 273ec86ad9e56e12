"""Rasa: the examples of `nlu.yml`, and stories and rules joined with them and with the domain's responses.

The files of a project belong together, so all that are given are gathered before the first is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from finetune.importers.draft import (
    Draft,
    Placed,
    Record,
    fields_of,
    has_object_with,
    list_of,
    readable,
    record_of,
    text_of,
)
from finetune.importers.rasa_text import Example, examples_of, unmarked
from finetune.records import RefusedError, shown

NAME = "Rasa"

_OWN_ACTIONS = ("action_listen", "action_session_start", "action_restart", "action_back")


def recognises(value: object) -> bool:
    """Say whether a value is a file of training data, stories, rules or a domain."""
    if not isinstance(value, dict):
        return False
    return (
        has_object_with(value.get("nlu"), ("intent", "synonym", "regex", "lookup"))
        or has_object_with(value.get("stories"), ("story",))
        or has_object_with(value.get("rules"), ("rule",))
        or (isinstance(value.get("responses"), dict) and ("intents" in value or "version" in value))
        or (isinstance(value.get("intents"), list) and "actions" in value)
    )


@dataclass(slots=True)
class Project:
    """What all files of a project give together: examples of each intent, and what each response says.

    Stories take the examples of an intent in turn, so that they differ.
    """

    examples: dict[str, list[Example]] = field(default_factory=dict)
    responses: dict[str, str] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Iterable[object]) -> Project:
        """Gather what can be read; what cannot is refused when its own file is read."""
        project = cls()
        for file in files:
            fields = file if isinstance(file, dict) else {}
            nlu = fields.get("nlu")
            for item in nlu if isinstance(nlu, list) else []:
                try:
                    intent, examples = _intent(item)
                except RefusedError:
                    continue
                if intent:
                    project.examples.setdefault(intent, []).extend(examples)
            responses = fields.get("responses")
            for name, variants in (responses if isinstance(responses, dict) else {}).items():
                project.responses.setdefault(name, _response(variants))
        return project

    def example(self, intent: str, types: frozenset[str]) -> Example:
        """Return the next example of an intent, one with the entities of the story where there is any.

        Raises:
            RefusedError: there is no example of it.
        """
        known = self.examples.get(intent) or []
        fitting = [e for e in known if {entity["type"] for entity in e.entities} == types] or known
        if not fitting:
            raise RefusedError(f"expected examples of the intent {shown(intent)} in the nlu files given, got none")
        number = self._taken.get(intent, 0)
        self._taken[intent] = number + 1
        return fitting[number % len(fitting)]


def records(values: Sequence[Placed], project: Project | None = None) -> Iterator[Record]:
    """Yield a conversation for each example of an intent, and one for each story and rule."""
    project = project or Project.of(value for _, value in values)
    for place, value in values:
        fields = value if isinstance(value, dict) else {}
        number = 0
        for key, build in (("nlu", _examples), ("stories", _story), ("rules", _story)):
            try:
                items = list_of(fields, key)
            except RefusedError as error:
                yield Record(place, refusal=error)
                continue
            for item in items:
                number += 1
                yield from build(number, item, project)


def _examples(place: int, item: object, _project: Project) -> Iterator[Record]:
    try:
        intent, examples = _intent(item)
    except RefusedError as error:
        yield Record(place, refusal=error)
        return
    if not intent:
        yield Record(place, notes=("synonyms, lookup tables and patterns left out",))
    for example in examples:
        draft = Draft("", notes=list(example.notes))
        draft.say("user", example.text, intent=intent, entities=list(example.entities) or None)
        yield draft.record(place)


def _same(draft: Draft) -> Draft:
    return draft


def _intent(item: object) -> tuple[str, list[Example]]:
    fields = fields_of(item, "an intent with examples")
    if "intent" not in fields:
        return "", []
    name = readable(text_of(fields, "intent")).strip()
    if not name:
        raise RefusedError('expected "intent" to be a name, got nothing')
    return name, examples_of(name, fields.get("examples"))


def _response(variants: object) -> str:
    for variant in variants if isinstance(variants, list) else []:
        text = variant.get("text") if isinstance(variant, dict) else variant
        if isinstance(text, str) and text.strip():
            return text
    return ""


def _story(place: int, item: object, project: Project) -> Iterator[Record]:
    yield record_of(place, partial(_conversation, item, project))


def _conversation(item: object, project: Project) -> Draft | str:
    fields = fields_of(item, "a story with steps")
    name = text_of(fields, "story", "rule")
    draft = Draft("")
    asked = False
    try:
        for step in list_of(fields, "steps"):
            asked = _step(draft, fields_of(step, "a step object"), project) or asked
    except RefusedError as error:
        raise RefusedError(f"story {shown(name)}: {error.reason}") from error
    return draft if asked else "story or rule without a customer's message left out"


def _step(draft: Draft, step: Mapping[str, Any], project: Project) -> bool:
    """Add what a step says, and tell whether the customer did; slots, forms and checkpoints say nothing."""
    if "or" in step:
        choices = [choice for choice in list_of(step, "or") if isinstance(choice, dict)]
        step = next((choice for choice in choices if "intent" in choice or "user" in choice), {})
    if "intent" in step or "user" in step:
        _ask(draft, step, project)
        return True
    if "bot" in step:
        draft.say("assistant", text_of(step, "bot"))
    elif "action" in step:
        action = text_of(step, "action").strip()
        if action and action not in _OWN_ACTIONS:
            # An action without words stands under its name: that is a step to learn, and no text to write.
            draft.say("assistant", project.responses.get(action) or action, action=action)
    return False


def _ask(draft: Draft, step: Mapping[str, Any], project: Project) -> None:
    intent = text_of(step, "intent").strip().lstrip("/").partition("{")[0].strip()
    said = text_of(step, "user")
    example = unmarked(said) if said else project.example(intent, _types(step.get("entities")))
    draft.notes.extend(example.notes)
    draft.say("user", example.text, intent=intent or None, entities=list(example.entities) or None)


def _types(entities: object) -> frozenset[str]:
    """Return the types of `entities: [city, {city: Berlin}]`; roles and groups beside them are no types."""
    names: list[Any] = []
    for item in entities if isinstance(entities, list) else []:
        names.extend([name for name in item if name not in ("role", "group")] if isinstance(item, dict) else [item])
    return frozenset(name for name in names if isinstance(name, str))
