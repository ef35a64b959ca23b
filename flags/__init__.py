"""What the portal decides and the API obeys: tenant homes and feature flags. The only wall that the two share."""
