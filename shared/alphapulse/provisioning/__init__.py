"""The saga that makes a tenant, undoes a tenant that could not be made, and deletes one."""
