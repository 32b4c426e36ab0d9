# Made by generate.py.
"""Lists of customers: who is on them, and files of numbers or keys that make some."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

from muster.client import shapes
from muster.client.blocking.importing import Files
from muster.client.files import Sent
from muster.client.paths import segment


class Listing(Files):
    """Lists of customers."""

    def find_list(self, name: str) -> shapes.CustomerList:
        """A list by its name or its id."""
        return cast(shapes.CustomerList, self.get(_list_path(name)))

    def make_list(self, name: str, customer_ids: Sequence[int] = ()) -> shapes.CustomerList:
        """Make a list, with customers on it; where there is one of that name they come onto it."""
        body = {"name": name, **({"customer_ids": list(customer_ids)} if customer_ids else {})}
        return cast(shapes.CustomerList, self.post("/v1/lists", body))

    def rename_list(self, name: str, new_name: str, *, if_match: str | None = None) -> shapes.CustomerList:
        """Give a list another name; if_match: the ETag of what was seen, where it must not have changed since."""
        return cast(shapes.CustomerList, self.patch(_list_path(name), {"name": new_name}, if_match=if_match))

    def delete_list(self, name: str) -> None:
        """Forget a list by its name or its id; ApiError while a saved search or a schedule asks for it."""
        self.delete(_list_path(name))

    def add_to_list(
        self,
        list_id: str,
        *,
        customer_ids: Sequence[int] = (),
        query: str | None = None,
        saved: str | None = None,
    ) -> dict[str, int]:
        """Put customers on a list: some by their ids, or all who fit a query or a saved search. Answers `changed` and
        `customers`."""
        return cast(dict[str, int], self.post(_list_path(list_id, "members"), _whom(customer_ids, query, saved)))

    def remove_from_list(
        self,
        list_id: str,
        *,
        customer_ids: Sequence[int] = (),
        query: str | None = None,
        saved: str | None = None,
    ) -> dict[str, int]:
        """Take customers off a list; as `add_to_list`."""
        path = _list_path(list_id, "members", "remove")
        return cast(dict[str, int], self.post(path, _whom(customer_ids, query, saved)))

    def upload_list(self, content: bytes | BinaryIO, name: str, **options: Any) -> shapes.Upload:
        """Make a list of the customers whom a file of numbers or keys means, and wait for its end; nobody is added.
        options: as the API has them (match, mapping …). ApiError for a file that is refused as a whole."""
        begun = cast(shapes.Upload, self._hand_in("/v1/lists/uploads", content, None, {"name": name, **options}))
        for standing in self._watched(f"/v1/lists/uploads/{segment(begun['id'])}"):
            begun = standing
        return begun

    def begin_upload(
        self, content: bytes | BinaryIO, name: str, *, sent: Sent | None = None, **options: Any
    ) -> shapes.Upload:
        """The same, in the background."""
        return cast(shapes.Upload, self._hand_in("/v1/lists/uploads", content, sent, {"name": name, **options}))

    def watch_upload(self, upload_id: str) -> Iterator[shapes.Upload]:
        """An upload as it stands, again and again, until it has ended."""
        return self._watched(f"/v1/lists/uploads/{segment(upload_id)}")


def _list_path(name: str, *below: str) -> str:
    return "/".join(("/v1/lists", segment(name), *below))


def _whom(customer_ids: Sequence[int], query: str | None, saved: str | None) -> dict[str, Any]:
    given = {"customer_ids": list(customer_ids) or None, "query": query, "saved": saved}
    return {name: value for name, value in given.items() if value is not None}
