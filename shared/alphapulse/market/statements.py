"""The named queries of this package, in `queries.sql`."""

from alphapulse.data import queries

sql = queries.load(__file__)
