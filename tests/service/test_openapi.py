"""Requests made from the OpenAPI document: none is answered otherwise than it says."""
