"""The databases of one worker of the simulation, and real connections to them."""

import heapq
import itertools
from collections import defaultdict
from contextlib import suppress
from typing import Any

import asyncpg

from muster.kit.testing import role_dsn
from simulation.backend import Backend, Loop
from simulation.memory import OWN_NAMES, TABLES, Reading

SERVICES = ("tenant", "customer", "credit", "dispatch", "reply", "report")
_KIT_NOW = """
CREATE OR REPLACE FUNCTION kit_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT current_setting('sim.now')::timestamptz $$
"""
_KEPT = ["kit_migration"]
_FILLED = """
SELECT c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public' AND c.relname <> ALL($1::text[]) AND pg_relation_size(c.oid) > 0
"""


class Cluster:
    """The databases of one worker of the simulation, emptied for each seed."""

    def __init__(self, admin_dsn: str, suffix: str) -> None:
        self._loop = Loop()
        self._dsns = {service: f"{admin_dsn.rsplit('/', 1)[0]}/{service}_{suffix}" for service in SERVICES}
        self._admins = {service: Backend(self._loop, dsn) for service, dsn in self._dsns.items()}
        self._brought: dict[str, list[str]] = {}
        self._free: dict[tuple[str, str], list[tuple[int, Backend]]] = defaultdict(list)
        self._made: dict[tuple[str, str], int] = defaultdict(int)
        self._seed = ""
        self.reading: dict[str, Reading] = {}
        for service, admin in self._admins.items():
            # Entries of the ledger refuse to be emptied, but for whom triggers are off.
            admin.call("execute", f"{_KIT_NOW}; SET session_replication_role = replica")
            self._brought[service] = self._keep(admin)
            own = [(row["name"], row["writes"]) for row in admin.call("fetch", OWN_NAMES)]
            self.reading[service] = Reading(own, {row["name"]: row["others"] for row in admin.call("fetch", TABLES)})

    @staticmethod
    def _keep(admin: Backend) -> list[str]:
        """Copy what migrations brought, once: it is brought again for each seed. The names of these tables."""
        if not admin.call("fetchval", "SELECT to_regnamespace('brought')"):
            admin.call("execute", "CREATE SCHEMA brought")
            for row in admin.call("fetch", _FILLED, _KEPT):
                admin.call("execute", f"CREATE TABLE brought.{row['relname']} AS TABLE public.{row['relname']}")
        rows = admin.call("fetch", "SELECT relname FROM pg_class WHERE relnamespace = 'brought'::regnamespace")
        return sorted(row["relname"] for row in rows)

    def empty(self, seed: str) -> None:
        """As migrated, for the next seed."""
        self._seed = seed
        for _, backend in itertools.chain.from_iterable(self._free.values()):
            backend.settle()
        for service, admin in self._admins.items():
            names = [row["relname"] for row in admin.call("fetch", _FILLED, _KEPT)]
            brought = self._brought[service]
            sql = [f"INSERT INTO public.{name} OVERRIDING SYSTEM VALUE TABLE brought.{name}" for name in brought]
            if names:
                sql.insert(0, f"TRUNCATE {', '.join(sorted(names))} RESTART IDENTITY CASCADE")
            if sql:
                admin.call("execute", "; ".join(sql))

    def take(self, service: str, role: str) -> Backend:
        """The first connection of this role that is free: the fewer are used, the fewer plan each statement."""
        free = self._free[service, role]
        if free:
            backend = heapq.heappop(free)[1]
        else:
            number = self._made[service, role]
            self._made[service, role] += 1
            backend = Backend(self._loop, role_dsn(self._dsns[service], f"{service}_{role}"), number)
        backend.renew(self._seed)
        return backend

    def give_back(self, service: str, role: str, backend: Backend) -> None:
        """It is free for others, with nothing open."""
        backend.forget()
        heapq.heappush(self._free[service, role], (backend.number, backend))

    def look(self, service: str, query: str, *args: Any) -> list[Any]:
        """Read behind the roles."""
        found: list[Any] = self._admins[service].call("fetch", query, *args)
        return found

    def close(self) -> None:
        """Close all connections."""
        free = (backend for _, backend in itertools.chain.from_iterable(self._free.values()))
        for backend in [*self._admins.values(), *free]:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                backend.close()
        self._loop.close()
