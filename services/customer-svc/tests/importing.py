"""An importer as the API process has one."""

from typing import Any

from gathering import SECRETS

from muster.customer.importer.applying import Secrets
from muster.customer.importer.engine import Inline
from muster.customer.importer.listing import ListLimits
from muster.customer.importer.turns import Importer, Limits
from muster.customer.settings import CustomerSettings
from muster.kit.pg import Database


def importer_of(db: Database, settings: CustomerSettings, engine: Any = None, **limited: Any) -> Importer:
    engine = engine or Inline()
    lists = ListLimits(settings.customer_lists_max, settings.customer_list_members_max)
    limits = Limits(settings.customer_import_rows_max, settings.customer_import_batch_rows, 5, 60_000, lists, **limited)
    return Importer(db, engine, engine, Secrets(SECRETS.hash_key, SECRETS.hash_generation), limits)
