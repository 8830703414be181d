"""Trading on a consensus."""
