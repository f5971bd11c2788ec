-- Ends a run of wrk with one line of JSON, for the table that wrk prints is rounded.
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"seconds": %.6f, "requests": %d, "bytes": %d, "errors": %d}\n',
    summary.duration / 1e6, summary.requests, summary.bytes, failed))
end
