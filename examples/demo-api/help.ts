/** The text of `GET /`: all features of the API, with commands to paste. */
export function helpText(url: string): string {
  return `A small, deliberately unreliable HTTP API. Every path answers; the query says how it fails.

  API=http://127.0.0.1:8080/demo      # through Breakwater on its shipped config
  API=${url.padEnd(31)} # straight at this API, to see the failures themselves

Paths
  GET  /orders/42     an order in JSON                curl -i $API/orders/42
  POST /charges       echoes JSON, gives it an id     curl -i $API/charges -H 'idempotency-key: k1' --json '{"amount":100}'
  POST /payments      a payment that is pending       curl -i $API/payments -H 'idempotency-key: k2' --json '{"amount":100}'
  GET  /payments/7    settled from the third look on  curl -i $API/payments/7
  GET  /rates/latest  exchange rates of this moment   curl -i $API/rates/latest
  GET  /flaky         503, 503, 200 and again         curl -i $API/flaky
  GET  /slow          answers after 1 to 3 s          curl -i $API/slow
  LLMs, see below     /v1/chat/completions, /v1/responses, /v1/messages …
  any other path      says what it received

How to fail (on any path)
  fail=0.3            that share of requests fails    curl -i "$API/orders/42?fail=0.3"
  status=500          with this status (503)          curl -i "$API/orders/42?fail=0.3&status=500"
  reset=before|body   by a connection reset instead   curl -i "$API/orders/42?fail=0.3&reset=before"
  retry_after=2       with Retry-After: 2             curl -i "$API/orders/42?fail=0.5&status=429&retry_after=2"
                      without fail= the three above fail every request
  script=A,B,C        one step per request to that    curl -i "$API/orders/42?script=503,reset,200"
                      path and query, then again from the start. Steps: a status, 429:2 (with
                      Retry-After: 2), reset (before the head), cut (in the body), hang (no
                      answer), close (without an answer), or one for streams
  fault=stall         one such step for all requests  curl -N "$API/v1/messages?fail=0.3&fault=stall"
  delay=200ms         answers later; or a range       curl -i "$API/orders/42?delay=0-10s"

What to send
  size=65536          a body of that many bytes       curl -i "$API/file?size=65536" -o file
  sse=5               server-sent events              curl -N "$API/events?sse=5&interval=500ms"

Streams of LLMs, as these APIs send them; without a body, or where the body asks for a stream
  OpenAI              /v1/chat/completions            curl -N "$API/v1/chat/completions?script=stall,200"
                      /v1/responses                   curl -N "$API/v1/responses?script=error@3,200"
  Azure OpenAI        /openai/deployments/d/chat/completions
  Anthropic           /v1/messages                    curl -N "$API/v1/messages?script=error,200"
  Google              /v1beta/models/m:streamGenerateContent
  Ollama (NDJSON)     /api/chat                       curl -N "$API/api/chat?sse=20&interval=50ms"
                      Without a stream, step error is an error in a reply with status 200.

Steps of script= and fault= for streams; @3: in place of the third event, @last: of the last; default: of the first
  stall               silence; the connection stays open
  error, failed       an event that reports an error, in two forms of the API
  end                 a clean end; end@last is a stream that does not say that it is complete
  cut                 a reset; without @: in the middle
  comments, pings     only comments, or only pings, without an end

How a stream is sent
  sse=20              pieces of the answer (5)
  interval=50ms       between two events (200ms)
  first=3s            from the head to the first event (0s)
  form=crlf,gzip      unusual bytes, in any combination:
                      bom       begins with a byte order mark
                      bytes     one byte at a time
                      cr, crlf  the ends of lines
                      lines     several data: lines for each event
                      large     an event of 300 KiB
                      comments  a comment before each event; pings: a ping
                      gzip      compressed, and flushed after each event

A client that cannot set a query, such as an SDK, sends it in the header demo-api: script=error,200&interval=0ms

Everything at once
  PUT    /_outage?on=true    503 to all               curl -X PUT "$API/_outage?on=true&for=30s"
         &for=30s            until then               curl -X PUT "$API/_outage?on=true&kind=blackhole&for=30s"
         &kind=blackhole     no answer at all
  DELETE /_outage            the end of it            curl -X DELETE $API/_outage
  GET    /_outage            whether it is on
  GET    /_log?last=20       the requests as the API saw them, oldest first

Replies in JSON carry requests_seen: how many requests for that path and query had arrived when this one was
answered, counted since the script's start or the last success. 3 means that two were spent on the rescue.
In /_log, events_sent is the number of events of a stream that were sent before its end, or before the client left.
`;
}
