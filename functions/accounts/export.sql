-- name: readable_tables
-- The live schema as this role may read it: tables with a tenant, their readable columns, their key.
SELECT CAST(c.relname AS text) AS name,
    CAST(owner_column.attname AS text) AS tenant_column,
    ARRAY(
        SELECT CAST(a.attname AS text) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            AND a.atttypid <> CAST('bytea' AS regtype)
            AND has_column_privilege(c.oid, a.attnum, 'SELECT')
        ORDER BY a.attnum
    ) AS columns,
    ARRAY(
        SELECT CAST(a.attname AS text) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = CAST('numeric' AS regtype)
    ) AS numbers,
    ARRAY(
        SELECT CAST(a.attname AS text)
        FROM pg_index x
        CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS place(attnum, position)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = place.attnum
        WHERE x.indrelid = c.oid AND x.indisprimary
        ORDER BY place.position
    ) AS key,
    ARRAY(
        SELECT format_type(a.atttypid, a.atttypmod)
        FROM pg_index x
        CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS place(attnum, position)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = place.attnum
        WHERE x.indrelid = c.oid AND x.indisprimary
        ORDER BY place.position
    ) AS key_types
FROM pg_class c
JOIN pg_attribute owner_column ON owner_column.attrelid = c.oid AND NOT owner_column.attisdropped
    AND owner_column.attname = CASE c.relname WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END
WHERE c.relnamespace = CAST('alphapulse' AS regnamespace) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND has_column_privilege(c.oid, owner_column.attnum, 'SELECT')
ORDER BY c.relname;
