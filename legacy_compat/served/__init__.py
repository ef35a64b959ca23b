"""The released service's endpoints about data that has moved, served from the IAM: a module for each kind of thing."""
