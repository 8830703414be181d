"""Exchange credentials: keys in Vault, what is known of them in the database, and whether they are good.

A row names the version of the secret it is about, and readers ask for that version. So a version in
Vault that no row names is in nobody's way, and a writer writes to Vault first: whatever is lost in
between, no row points to a secret that is not there.
"""
