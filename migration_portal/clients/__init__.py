"""Applications that may ask the IAM to sign users in: registered, renewed and switched off here, on the record."""
