"""A message as it is being written: what the form of a new message holds, and what the API is asked with it."""

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from muster.console.client import Json

if TYPE_CHECKING:
    from muster.console.visit import Visit

_SEVERAL = ("not_lists",)
# Whom it is for: the member of the API's audience, and the field of the form that says which.
_RULES = {
    "query": ("query", "query"),
    "saved": ("saved_search", "saved"),
    "list": ("list", "list_name"),
    "tag": ("tag", "tag"),
}
WHOM = ("all", *_RULES)


@dataclass(frozen=True)
class Draft:
    """The fields of the form, as they were entered."""

    text: str = ""
    message_class: str = "marketing"
    sender: str = ""
    whom: str = "all"
    query: str = ""
    saved: str = ""
    list_name: str = ""
    tag: str = ""
    not_days: str = ""
    not_tags: str = ""
    not_lists: tuple[str, ...] = ()
    template: str = ""

    @classmethod
    def of(cls, visit: "Visit") -> "Draft":
        """Of a posted form. A browser sends line ends as CR LF, which would be counted twice."""
        given = {one.name: visit.text(one.name) for one in fields(cls) if one.name not in _SEVERAL}
        given["text"] = given["text"].replace("\r\n", "\n")
        known = {name: value for name, value in given.items() if value}
        if known.get("whom") not in WHOM:
            known.pop("whom", None)
        return cls(**known, not_lists=tuple(visit.texts("not_lists")))

    @classmethod
    def of_quote(cls, quote: Json) -> "Draft":
        """Of what a quote was asked for, without what was added to the text by rule; empty where the form has no place
        for all of that, so that nobody else is texted because it was left out."""
        asked, text = {**quote["audience"]}, str(quote["text"])
        for one in quote["added"]:
            text = text.replace(one["text"], "", 1)
        asked.pop("saved_query", None)
        if len(asked.get("lists", ())) == 1:
            asked["list"] = asked.pop("lists")[0]
        exclude = asked.get("exclude", {})
        whom = next((one for one, (member, _) in _RULES.items() if member in asked), "all")
        draft = cls(
            text=text.strip(),
            message_class=quote["class"],
            sender=quote["sender"],
            whom=whom,
            not_days=str(exclude.get("messaged_in_days", "")),
            not_tags=", ".join(exclude.get("tags", ())),
            not_lists=tuple(exclude.get("lists", ())),
            template=quote["template_id"] or "",
        )
        if whom != "all":
            member, field = _RULES[whom]
            draft = replace(draft, **{field: asked[member]})
        return draft if draft.audience() == asked and quote["local_time"] is None else cls()

    def as_fields(self) -> list[tuple[str, str]]:
        """The fields again, for forms that lead back here."""
        one = [(field.name, getattr(self, field.name)) for field in fields(self) if field.name not in _SEVERAL]
        return [(name, value) for name, value in one if value] + [("not_lists", name) for name in self.not_lists]

    def audience(self) -> Json:
        """The audience as the API takes it."""
        found: Json = {"all": True}
        if self.whom != "all":
            member, field = _RULES[self.whom]
            found = {member: getattr(self, field).strip()}
        tags = [one.strip() for one in re.split(r"[,\n]", self.not_tags) if one.strip()]
        exclude: Json = {"lists": [*self.not_lists], "tags": tags}
        if self.not_days.strip():
            days = self.not_days.strip()
            exclude["messaged_in_days"] = int(days) if days.isascii() and days.isdigit() else days
        exclude = {name: value for name, value in exclude.items() if value}
        return {**found, **({"exclude": exclude} if exclude else {})}

    def asked(self, templates: list[Json]) -> Json:
        """What a quote is asked with. A template that was not changed is asked by its id: it has other languages."""
        used = next((one for one in templates if one["id"] == self.template and one["text"] == self.text), None)
        what = {"template_id": used["id"], "template_version": used["version"]} if used else {"text": self.text}
        sender = {"sender": self.sender} if self.sender else {}
        return {**what, **sender, "class": self.message_class, "audience": self.audience()}
