"""The new API, /api/v1/: described by its OpenAPI document, browsable at /api/v1/docs."""
