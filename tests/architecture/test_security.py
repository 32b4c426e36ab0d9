"""Security controls that can be read from the code and from the catalogs of the databases (1, 4, 22, 24)."""

import asyncio
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import yaml
from contract.openapi import app_of

from muster.kit.auth import PUBLIC, Permission, Role, route_permissions
from muster.kit.migrate import migrate
from muster.kit.pg import unprotected_tables
from muster.kit.testing import PASSWORD, role_dsn
from muster.local.routes import SERVICES

TABLES = yaml.safe_load(Path(__file__).with_name("worker_tables.yaml").read_text(encoding="utf-8"))
COLUMNS = yaml.safe_load(Path(__file__).with_name("personal_columns.yaml").read_text(encoding="utf-8"))
PERMISSIONS = {
    route: permission for service in SERVICES for route, permission in route_permissions(app_of(service)).items()
}
ROLES = {
    route: permission.roles if isinstance(permission, Permission) else permission
    for route, permission in PERMISSIONS.items()
}
SENDING = {
    ("POST", "/v1/quotes"),
    ("POST", "/v1/bulk-sms"),
    ("POST", "/v1/bulk-sms/{bulk_id}/confirm"),
    ("POST", "/v1/bulk-sms/{bulk_id}/again"),
    ("POST", "/v1/bulk-sms/{bulk_id}/stop"),
    ("POST", "/v1/bulk-sms/{bulk_id}/pause"),
    ("POST", "/v1/bulk-sms/{bulk_id}/resume"),
    ("POST", "/v1/bulk-sms/{bulk_id}/unknown"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/{message_id}/stop"),
}
OPERATORS = ("/v1/ops/", "/v1/tenants", "/v1/carriers", "/v1/routes", "/v1/senders", "/v1/credits/top-ups")

POLICIES = """
SELECT c.relname AS table, p.polname AS policy, p.polcmd::text AS command, p.polroles::regrole[]::text[] AS roles,
       p.polqual IS NOT NULL AS reads, p.polwithcheck IS NOT NULL AS writes
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid ORDER BY 1, 2
"""
PLATFORM = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
ORDER BY 1
"""
# What can hold nothing of anybody is left out by its type.
HOLDING = """
SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0
    AND NOT a.attisdropped AND a.atttypid::regtype::text NOT IN ('uuid', 'uuid[]', 'boolean', 'boolean[]', 'smallint',
    'smallint[]', 'integer', 'integer[]', 'timestamp with time zone', 'timestamp without time zone', 'date', 'date[]',
    'interval', 'double precision', 'xid8', 'pg_snapshot', 'tstzmultirange')
"""
PRIVILEGES = """
SELECT table_name, string_agg(privilege_type, ', ' ORDER BY privilege_type) AS privileges
FROM information_schema.role_table_grants WHERE grantee = $1 AND table_name = ANY ($2) GROUP BY 1
"""
AROUND_ROW_SECURITY = """
SELECT 'view ' || c.relname AS what FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND (c.relkind = 'm'
    OR c.relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false))
UNION ALL
SELECT 'function ' || p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'public' AND p.prosecdef
UNION ALL
SELECT 'unique ' || i.indexrelid::regclass FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'tenant_id'
WHERE i.indisunique AND i.indrelid IN (SELECT polrelid FROM pg_policy) AND NOT a.attnum = ANY (i.indkey)
UNION ALL
SELECT 'foreign key ' || f.conname FROM pg_constraint f
    JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attname = 'tenant_id'
WHERE f.contype = 'f' AND NOT a.attnum = ANY (f.conkey)
ORDER BY 1
"""
SAID_TO_BE_GLOBAL = {
    "credit": ["unique payment_of_one_tenant"],  # a payment that is told of two tenants is refused
    # who asks for a token, signs in or takes a link has not said yet whose it is
    "tenant": ["unique api_key_client_id", "unique link_token", "unique session_token"],
}
OWNED = """
SELECT s.objid::text FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND r.rolname = ANY ($1)
"""


@pytest.fixture(scope="module")
def databases(postgres_server):
    """A migrated database of each service, not copied: a copy would not have the rights on the database itself."""

    async def make():
        for service in SERVICES:
            name = f"architecture_{service}"
            await migrate(postgres_server, service, database=name, app_password=PASSWORD, worker_password=PASSWORD)

    asyncio.run(make())
    return {
        service: urlsplit(postgres_server)._replace(path=f"/architecture_{service}").geturl() for service in SERVICES
    }


@pytest.fixture
async def catalog(databases):
    """The catalogs of a service's database, by the eyes of a superuser."""
    async with AsyncExitStack() as stack:

        async def connect(service):
            connection = await asyncpg.connect(databases[service])
            stack.push_async_callback(connection.close)
            return connection

        yield connect


def test_every_route_has_one_permission_or_is_said_to_be_public():
    assert [route for route, permission in PERMISSIONS.items() if permission is None] == []


def test_every_permission_is_that_of_a_route():
    within_a_route = {Permission.OVERRIDE_CHECKS}
    assert set(Permission) - set(PERMISSIONS.values()) == within_a_route


def test_nothing_is_public_but_tokens_the_keys_that_verify_them_and_what_is_signed():
    public = {route for route, roles in ROLES.items() if roles == PUBLIC}
    assert public == {
        ("POST", "/v1/token"),
        ("POST", "/v1/sessions"),
        ("POST", "/v1/password-resets"),
        ("POST", "/v1/links/look"),  # whom it is for is known by the link's secret
        ("POST", "/v1/links/use"),  # likewise
        ("GET", "/.well-known/jwks.json"),
        ("POST", "/v1/credits/payments/webhook"),  # who calls is known by a signature
        ("POST", "/v1/receipts/{carrier}"),  # likewise
        ("POST", "/v1/inbound/{carrier}"),  # likewise
        ("GET", "/o/{token}"),  # whom it is for is sealed in the link that they were sent
        ("POST", "/o/{token}"),  # likewise
    }


@pytest.mark.parametrize("route", sorted(SENDING), ids=" ".join)
def test_only_admins_and_managers_send_and_control_sends(route):
    assert ROLES[route] == {Role.ADMIN, Role.MANAGER}


def test_every_other_write_to_sends_and_messages_is_in_that_list_too():
    sends = ("/v1/bulk-sms", "/v1/messages", "/v1/quotes")
    verifies = {("POST", "/v1/bulk-sms/{bulk_id}/checks/verification")}  # whether a copy is genuine; changes nothing
    assert {(verb, path) for verb, path in ROLES if path.startswith(sends) and verb != "GET"} - verifies == SENDING


def test_what_runs_the_platform_is_for_the_operator_alone():
    own = ("GET", "/v1/senders")  # whoever belongs to a business sees its senders
    theirs = [route for route in ROLES if route[1].startswith(OPERATORS) and route != own] + [
        ("PUT", "/v1/rates"),
        ("POST", "/v1/credits/prices"),
    ]
    assert {ROLES[route] for route in theirs} == {frozenset({Role.OPERATOR})}
    assert {path.split("/")[3] for _, path in theirs if path.startswith("/v1/ops/")} == set(SERVICES)


def test_the_operator_neither_reads_nor_sends_for_a_tenant():
    """A tenant's customers, texts and replies are no business of who runs the platform."""
    kinds = ("customers", "suppressions", "lists", "templates", "quotes", "bulk-sms", "messages", "replies", "reports")
    private = [route for route in ROLES if route[1].startswith(tuple(f"/v1/{kind}" for kind in kinds))]
    assert [route for route in private if Role.OPERATOR in ROLES[route]] == []


@pytest.mark.parametrize("service", SERVICES)
def test_in_production_there_are_no_docs_no_debug_and_no_cors(service):
    app = app_of(service)
    assert (app.docs_url, app.redoc_url, app.openapi_url, app.debug) == (None, None, None, False)
    assert [one.cls.__name__ for one in app.user_middleware] == ["Edge"]


@pytest.mark.parametrize("service", SERVICES)
async def test_every_table_of_tenant_data_is_held_to_its_tenant(service, catalog):
    connection = await catalog(service)
    assert await unprotected_tables(connection) == {}


@pytest.mark.parametrize("service", SERVICES)
async def test_what_goes_around_row_security_is_held_to_the_tenant_too(service, catalog):
    """Definer's functions, views and the checks of keys see all rows: a refusal would tell of another tenant's."""
    found = [row["what"] for row in await (await catalog(service)).fetch(AROUND_ROW_SECURITY)]
    assert [what for what in found if "outbox_" not in what] == SAID_TO_BE_GLOBAL.get(service, [])


@pytest.mark.parametrize("service", SERVICES)
async def test_every_policy_checks_what_is_read_and_what_is_written(service, catalog):
    policies = await (await catalog(service)).fetch(POLICIES)
    assert {
        (row["table"], row["policy"], row["command"]) for row in policies if not (row["reads"] and row["writes"])
    } == {
        ("outbox", "kit_app", "a")  # requests say facts and never read them: an INSERT policy has no USING
    }
    assert {tuple(row["roles"]) for row in policies} == {(f"{service}_app",), (f"{service}_worker",)}


@pytest.mark.parametrize("service", SERVICES)
async def test_the_worker_crosses_tenants_only_in_the_tables_that_are_listed_and_with_those_rights(service, catalog):
    connection = await catalog(service)
    tables = [row["table"] for row in await connection.fetch(POLICIES) if f"{service}_worker" in row["roles"]]
    rows = await connection.fetch(PRIVILEGES, f"{service}_worker", tables)
    assert sorted(tables) == sorted(row["table_name"] for row in rows)
    assert {row["table_name"]: row["privileges"] for row in rows} == TABLES[service]["worker"]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_table_without_a_tenant_is_one_that_is_listed(service, catalog):
    connection = await catalog(service)
    assert [row["relname"] for row in await connection.fetch(PLATFORM)] == TABLES[service]["platform"]


@pytest.mark.parametrize("service", SERVICES)
async def test_the_roles_of_a_service_own_nothing_and_cannot_bypass_row_security(service, catalog):
    connection = await catalog(service)
    names = [f"{service}_app", f"{service}_worker"]
    roles = await connection.fetch(
        "SELECT rolname, rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole OR rolreplication AS mighty,"
        " EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid) AS member"
        " FROM pg_roles r WHERE rolname = ANY ($1) ORDER BY 1",
        names,
    )
    assert [tuple(row) for row in roles] == [(name, False, False) for name in names]
    assert await connection.fetch(OWNED, names) == []


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", ["app", "worker"])
async def test_a_role_connects_to_the_database_of_its_service_and_to_no_other(service, kind, databases):
    reached = []
    for other, dsn in databases.items():
        try:
            connection = await asyncpg.connect(role_dsn(dsn, f"{service}_{kind}"))
        except asyncpg.InsufficientPrivilegeError:
            continue
        reached.append(other)
        await connection.close()
    assert reached == [service]


@pytest.mark.parametrize("service", SERVICES)
async def test_every_column_that_may_hold_a_person_is_classified_and_says_how_they_are_erased(catalog, service):
    connection = await catalog(service)

    holding = {row[0] for row in await connection.fetch(HOLDING)}

    listed = [name for part in ("kit", service) for name in classified(part)]
    assert sorted(listed) == sorted(set(listed)), "a column is one thing"
    assert holding - set(listed) == set(), "say in personal_columns.yaml what these hold"
    assert set(listed) - holding == set(), "these are no more"


def classified(part):
    columns = COLUMNS[part]
    yield from columns["personal"]
    yield from columns["business"]
    yield from (f"{table}.{name}" for table, names in columns["other"].items() for name in names)


def test_an_erasure_names_a_function_that_is_there():
    places = {how.split()[0].rstrip(",;") for part in COLUMNS.values() for how in part["personal"].values()}
    named = {place for place in places if "." in place}
    found = {
        place
        for place in named
        for part in ("kit", *SERVICES)
        if is_there(f"muster.{part}.{place}" if not place.startswith("kit.") else f"muster.{place}")
    }
    assert named - found == set()


def is_there(path):
    module, _, name = path.rpartition(".")
    try:
        return hasattr(import_module(module), name)
    except ModuleNotFoundError:
        return False
