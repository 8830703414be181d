# The provisioning functions that make and remove a tenant. They see which secrets a tenant has and may
# remove them. They read and write none, so they mint no tenant's token either.
path "sys/policies/acl/tenant-*" {
  capabilities = ["create", "read", "update", "delete"]
}

path "secret/metadata/tenants/*" {
  capabilities = ["list", "delete"]
}
