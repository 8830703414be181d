# A function that works with tenants' secrets. It reads none by itself: it may only mint short batch
# tokens through the token role `tenant`, one tenant's policy each, and look after its own login.
path "auth/token/create/tenant" {
  capabilities = ["update"]

  allowed_parameters = {
    "policies" = []
    "ttl"      = ["300s"]
  }

  required_parameters = ["policies", "ttl"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
