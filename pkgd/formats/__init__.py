"""Pure formats: bytes in, values out; no file, clock, log or Deferred."""
