# The provisioning functions that make and remove a tenant. They see which secrets a tenant has and may
# remove them; to read or write one they mint the tenant's token like every function.
path "sys/policies/acl/tenant-*" {
  capabilities = ["create", "read", "update", "delete"]
}

path "secret/metadata/tenants/*" {
  capabilities = ["list", "delete"]
}
