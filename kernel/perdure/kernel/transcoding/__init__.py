"""gRPC services as HTTP/JSON, from nothing but their descriptors and `google.api.http` annotations. PURE throughout.

`routes` finds the RPC, `requests` builds its message, `encode` writes the answer, `openapi` describes it all.
"""
