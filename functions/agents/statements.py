"""The named queries of this function, in `queries.sql`."""

from alphapulse.data import queries

sql = queries.load(__file__)
