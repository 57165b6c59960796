"""RPCs over HTTP/JSON: an ASGI application over `kernel.transcoding`, its server, and its pages."""
