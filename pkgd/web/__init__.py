"""The HTTP edge: everything that knows a request, a header or a status code."""
