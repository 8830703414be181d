"""Asks the exchanges whether stored keys are still good, and removes what is left over in Vault."""
