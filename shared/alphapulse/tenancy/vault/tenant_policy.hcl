# One tenant's secrets and nothing else.
path "secret/data/TENANT_ROOT/*" {
  capabilities = ["create", "read", "update", "delete"]
}

path "secret/metadata/TENANT_ROOT/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}

path "secret/metadata/TENANT_ROOT" {
  capabilities = ["list"]
}

# The data of an outlived version, for good.
path "secret/destroy/TENANT_ROOT/*" {
  capabilities = ["update"]
}
