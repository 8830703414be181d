"""The schema as the database itself describes it, for comparison."""

import asyncpg

from alphapulse.data.bootstrap import SCHEMA

# Each query gives a name and what is known of it; names and order of columns count, object ids do not.
_PARTS = {
    "tables": """
        SELECT c.relname::text AS name,
            jsonb_build_array(c.relkind, c.relispartition, pg_get_expr(c.relpartbound, c.oid),
                CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
                c.relrowsecurity, c.relforcerowsecurity,
                pg_get_userbyid(c.relowner), c.relacl::text[]) AS what
        FROM pg_class c
        WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')""",
    "columns": """
        SELECT format('%s.%s', c.relname, a.attname) AS name,
            jsonb_build_array(a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                pg_get_expr(d.adbin, d.adrelid), a.attacl::text[]) AS what
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
            AND NOT a.attisdropped""",
    "constraints": """
        SELECT format('%s.%s', c.conrelid::regclass, c.conname) AS name,
            to_jsonb(pg_get_constraintdef(c.oid)) AS what
        FROM pg_constraint c WHERE c.connamespace = $1::regnamespace""",
    "indexes": """
        SELECT indexname::text AS name, to_jsonb(indexdef) AS what FROM pg_indexes WHERE schemaname = $1""",
    "policies": """
        SELECT format('%s.%s', tablename, policyname) AS name,
            jsonb_build_array(permissive, roles::text[], cmd, qual, with_check) AS what
        FROM pg_policies WHERE schemaname = $1""",
    "functions": """
        SELECT p.oid::regprocedure::text AS name,
            jsonb_build_array(pg_get_functiondef(p.oid), p.proacl::text[],
                pg_get_userbyid(p.proowner)) AS what
        FROM pg_proc p WHERE p.pronamespace = $1::regnamespace""",
    "triggers": """
        SELECT format('%s.%s', t.tgrelid::regclass, t.tgname) AS name,
            to_jsonb(pg_get_triggerdef(t.oid)) AS what
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = $1::regnamespace AND NOT t.tgisinternal""",
}


async def describe(connection: asyncpg.Connection) -> dict[str, dict[str, str]]:
    """Return every table, column, constraint, index, policy, function, trigger and grant by name.

    Parameters
    ----------
    connection
        Of the schema's owner; its schema version table is left out.
    """
    parts: dict[str, dict[str, str]] = {}
    for part, query in _PARTS.items():
        rows = await connection.fetch(f"SELECT name, what::text FROM ({query}) AS part ORDER BY name", SCHEMA)
        parts[part] = {row["name"]: row["what"] for row in rows if "alembic_version" not in row["name"]}
    return parts
