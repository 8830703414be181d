"""Make the database and its roles: what belongs to the cluster and not to a migration.

Four roles, none with more than it needs:

`alphapulse_owner`
    owns schema and tables, runs migrations; bound by row-level security like the others.
`alphapulse_app`
    what functions work with, for one tenant at a time.
`alphapulse_platform`
    the tenant registry and what has no tenant; for the few functions that name it.
`alphapulse_readonly`
    reads one tenant at a time, without password or key hashes.
"""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlsplit, urlunsplit

from alphapulse.data.scram import scram_verifier

if TYPE_CHECKING:
    import asyncpg

SCHEMA = "alphapulse"

# In force wherever a role connects, also through a transaction pooler, which would drop SET.
_ROLE_SETTINGS = {
    "owner": {"search_path": SCHEMA, "timezone": "UTC", "lock_timeout": "5s"},
    "app": {
        "search_path": SCHEMA,
        "timezone": "UTC",
        "lock_timeout": "5s",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "60s",
        # Every query names its tenant, so one plan fits all tenants, and pruning happens when it runs.
        # Left to itself the planner plans partitioned tables anew for every key read (docs/data.md).
        "plan_cache_mode": "force_generic_plan",
        # One tenant's rows are few: starting workers or compiling takes longer than reading them.
        "max_parallel_workers_per_gather": "0",
        "jit": "off",
    },
}
_ROLE_SETTINGS["platform"] = _ROLE_SETTINGS["app"]
_ROLE_SETTINGS["readonly"] = _ROLE_SETTINGS["app"] | {"default_transaction_read_only": "on"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePasswords:
    """A password per role; never shown."""

    owner: str = field(repr=False)
    app: str = field(repr=False)
    platform: str = field(repr=False)
    readonly: str = field(repr=False)

    def __post_init__(self) -> None:
        for role in fields(self):
            if not getattr(self, role.name):
                raise ValueError(f"the password of role {role.name!r} must not be empty")

    @classmethod
    def random(cls) -> Self:
        """Return four fresh passwords."""
        import secrets  # noqa: PLC0415 - only whoever makes a database needs it

        return cls(**{role.name: secrets.token_urlsafe(24) for role in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrls:
    """A connection URL per role, passwords included; never shown."""

    owner: str = field(repr=False)
    app: str = field(repr=False)
    platform: str = field(repr=False)
    readonly: str = field(repr=False)


async def create_database(
    admin_url: str, *, database: str = "alphapulse", passwords: RolePasswords
) -> DatabaseUrls:
    """Create what is missing, set the passwords, and return where each role connects.

    Parameters
    ----------
    admin_url
        Of a superuser, or of a role that may create roles and databases.
    database
        Name of the database.
    passwords
        Set on every call; only SCRAM verifiers of them reach the server.
    """
    import asyncpg  # noqa: PLC0415 - 65 ms that only a bootstrapping process pays

    connection = await asyncpg.connect(admin_url)
    try:
        # Roles belong to the cluster: two bootstraps at once would trip over each other.
        await connection.execute("SELECT pg_advisory_lock(7305801992204164)")
        await _create_roles(connection, passwords)
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            await connection.execute(
                f"CREATE DATABASE {_identifier(database)} OWNER {SCHEMA}_owner TEMPLATE template0"
                " ENCODING 'UTF8'"
            )
    finally:
        await connection.close()
    await _restrict(_with(admin_url, database=database), database)
    urls = {
        role.name: _with(
            admin_url,
            database=database,
            user=f"{SCHEMA}_{role.name}",
            password=getattr(passwords, role.name),
        )
        for role in fields(passwords)
    }
    return DatabaseUrls(**urls)


async def _create_roles(connection: "asyncpg.Connection", passwords: RolePasswords) -> None:
    for role, settings in _ROLE_SETTINGS.items():
        name = f"{SCHEMA}_{role}"
        if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
            await connection.execute(f"CREATE ROLE {name}")
        verifier = scram_verifier(getattr(passwords, role))
        await connection.execute(
            f"ALTER ROLE {name} LOGIN NOCREATEDB NOCREATEROLE INHERIT PASSWORD '{verifier}'"
        )
        for setting, value in settings.items():
            await connection.execute(f"ALTER ROLE {name} SET {setting} = '{value}'")
    # CREATE DATABASE ... OWNER asks for membership, which only superusers have of themselves.
    if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        await connection.execute(f"GRANT {SCHEMA}_owner TO CURRENT_USER")


async def _restrict(database_url: str, database: str) -> None:
    import asyncpg  # noqa: PLC0415 - as above

    name = _identifier(database)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"""
            REVOKE ALL ON DATABASE {name} FROM PUBLIC;
            GRANT CONNECT ON DATABASE {name} TO {SCHEMA}_app, {SCHEMA}_platform, {SCHEMA}_readonly;
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            CREATE SCHEMA IF NOT EXISTS {SCHEMA} AUTHORIZATION {SCHEMA}_owner;
        """)
    finally:
        await connection.close()


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _with(url: str, *, database: str, user: str | None = None, password: str | None = None) -> str:
    parts = urlsplit(url)
    location = parts.netloc
    if user is not None and password is not None:
        host = location.rpartition("@")[2]
        location = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"
    return urlunsplit((parts.scheme, location, f"/{quote(database, safe='')}", parts.query, ""))
