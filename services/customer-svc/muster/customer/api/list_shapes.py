"""Lists as requests and answers write them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from muster.customer.domain.query import CHARACTERS_MAX
from muster.kit.http import Int, Model
from muster.kit.pg import Record
from muster.kit.problems import Problem, conflict, unprocessable

KindWord = Literal["kept", "upload"]
CustomerIds = Annotated[list[Annotated[Int, Field(ge=1)]], Field(min_length=1, max_length=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class ListIn(Model):
    """A list, and who is to be on it from the start."""

    name: Name
    customer_ids: CustomerIds | None = None


class ListNameIn(Model):
    """Another name for a list."""

    name: Name


class MembersIn(Model):
    """Whom it is about: customers by their ids, or all who fit a query (docs/search.md) or a saved search."""

    customer_ids: CustomerIds | None = None
    query: Annotated[str, Field(min_length=1, max_length=CHARACTERS_MAX)] | None = None
    saved: Annotated[str, Field(min_length=1, max_length=100)] | None = None

    @model_validator(mode="after")
    def _one(self) -> "MembersIn":
        if sum(one is not None for one in (self.customer_ids, self.query, self.saved)) != 1:
            raise ValueError("say whom by customer_ids, by query or by saved: one of them")
        return self


class ListOut(Model):
    """A list. customers: who is on it and not archived. kind: kept by people, or of an upload. version counts the
    changes of its name."""

    id: UUID
    name: str
    kind: KindWord
    customers: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    version: int


class MembersOut(Model):
    """How many came onto the list or off it, and how many are on it now."""

    changed: int
    customers: int


def list_out(row: Record) -> ListOut:
    """A list as it is shown."""
    names = ("name", "kind", "customers", "created_at", "created_by", "changed_at", "changed_by", "version")
    return ListOut(id=row["list_id"], **{name: row[name] for name in names})


def list_exists(row: Record) -> Problem:
    """409: a list has this name already."""
    detail = f"It is called '{row['name']}'. Capitals make no difference."
    return conflict("list_exists", "There is a list of this name", detail, list_id=str(row["list_id"]))


def too_many_lists(most: int) -> Problem:
    """422: the business has as many lists as it may."""
    return unprocessable("name", "too_many", f"a business has at most {most} lists", limit=most)
