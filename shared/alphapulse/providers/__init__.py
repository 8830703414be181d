"""Market and research data sources behind small protocols."""
