"""An importer as the API process has one."""

from typing import Any

from gathering import SECRETS

from muster.customer.importer.applying import Secrets
from muster.customer.importer.engine import Inline
from muster.customer.importer.turns import Importer, Limits
from muster.customer.settings import CustomerSettings
from muster.kit.pg import Database


def importer_of(db: Database, settings: CustomerSettings, engine: Any = None) -> Importer:
    engine = engine or Inline()
    limits = Limits(settings.customer_import_rows_max, settings.customer_import_batch_rows, 5, 60_000)
    return Importer(db, engine, engine, Secrets(SECRETS.hash_key, SECRETS.hash_generation), limits)
