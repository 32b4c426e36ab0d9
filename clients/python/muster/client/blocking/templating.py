# Made by generate.py.
"""Templates: texts that are kept, each version of them, and what they say to whom."""

from collections.abc import Iterator
from typing import Any, cast

from muster.client.blocking.calls import Calls
from muster.client.paths import segment


class Templating(Calls):
    """Templates."""

    def templates(self, *, category: str | None = None, archived: bool = False) -> Iterator[dict[str, Any]]:
        """The newest version of each template; archived: of those that are out of use, instead."""
        return self.pages("/v1/templates", category=category, archived="true" if archived else None)

    def template(self, template_id: str, version: int | None = None) -> dict[str, Any]:
        """A version of a template; the newest unless said."""
        below = () if version is None else ("versions", str(version))
        return cast(dict[str, Any], self.get(_path(template_id, *below)))

    def template_versions(self, template_id: str) -> Iterator[dict[str, Any]]:
        """Every version of a template, the newest first, each with what pins it."""
        return self.pages(_path(template_id, "versions"))

    def add_template(self, name: str, text: str, **options: Any) -> dict[str, Any]:
        """Keep a text. options: `category`, `language`, and `variants`, the text in other languages by their tags."""
        return cast(dict[str, Any], self.post("/v1/templates", {"name": name, "text": text, **options}))

    def change_template(self, template_id: str, name: str, text: str, **options: Any) -> dict[str, Any]:
        """Add a version, which says all of it anew; options as of `add_template`."""
        return cast(dict[str, Any], self.put(_path(template_id), {"name": name, "text": text, **options}))

    def preview_template(
        self, template_id: str, customer_id: int, version: int | None = None, message_class: str | None = None
    ) -> dict[str, Any]:
        """What a template says to a customer, or which fields they miss. message_class: marketing unless said."""
        query = {"customer_id": customer_id, "version": version, "class": message_class}
        return cast(dict[str, Any], self.get(_path(template_id, "preview"), **query))

    def archive_template(self, template_id: str) -> None:
        """Put a template out of use; what pins one of its versions goes on."""
        self.delete(_path(template_id))


def _path(template_id: str, *below: str) -> str:
    return "/".join(("/v1/templates", segment(template_id), *below))
