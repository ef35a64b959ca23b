"""A sample legacy system, for trying the portal and testing it: Sigma Permit 2.0 with every kind of dirt, counted."""
