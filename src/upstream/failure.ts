import { RequestBodyBroken, RequestBodyNotBuffered } from '../http/bodies/request-body.ts';
import { dependsOnProgress, type ErrorCode, ProxyError, type Sent } from '../proxy/errors.ts';

const CODES: ReadonlyMap<string, ErrorCode> = new Map(
  Object.entries<ErrorCode>({
    ECONNREFUSED: 'connection_refused',
    ENOTFOUND: 'dns_error',
    ENODATA: 'dns_error',
    EAI_FAIL: 'dns_error',
    EAI_NONAME: 'dns_error',
    // The resolver's "try again": it had no answer in time.
    EAI_AGAIN: 'dns_timeout',
    ETIMEOUT: 'dns_timeout',
    UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
    ETIMEDOUT: 'connect_timeout',
    EHOSTUNREACH: 'connection_failed',
    ENETUNREACH: 'connection_failed',
    // What this machine lacks: file descriptors, buffers, ports. No upstream is to blame.
    EADDRNOTAVAIL: 'out_of_sockets',
    EMFILE: 'out_of_sockets',
    ENFILE: 'out_of_sockets',
    ENOBUFS: 'out_of_sockets',
    ECONNRESET: 'connection_terminated',
    EPIPE: 'connection_terminated',
    UND_ERR_SOCKET: 'connection_terminated',
    UND_ERR_CLOSED: 'connection_terminated',
    UND_ERR_DESTROYED: 'connection_terminated',
    // Lengths that contradict one another, or the coding. (A body shorter than its length is told by its end.)
    UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'protocol_error',
    UND_ERR_HEADERS_OVERFLOW: 'protocol_error',
    // nghttp2 could make nothing of what came.
    ERR_HTTP2_ERROR: 'protocol_error',
    // undici will not put on the wire what the client sent: a header or target that node:http let through.
    UND_ERR_INVALID_ARG: 'bad_request',
    UND_ERR_NOT_SUPPORTED: 'bad_request',
  }),
);

/** Families of codes, after the single ones: certificates (node:tls and OpenSSL's verification), alerts, TLS itself. */
const PATTERNS: readonly (readonly [RegExp, ErrorCode])[] = [
  [
    /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_)/,
    'tls_certificate_error',
  ],
  [/^ERR_SSL_.*ALERT/, 'tls_alert_received'],
  // node:http's parser, which reads what an egress proxy says.
  [/^HPE_/, 'protocol_error'],
  [/^(?:ERR_SSL|ERR_TLS|EPROTO$)/, 'tls_protocol_error'],
];

/**
 * The one place where errors of undici, Node and OpenSSL become ours.
 * `sent`: whether the attempt had a connection, so that bytes of it may have left.
 */
export function toProxyError(cause: unknown, sent: Sent): ProxyError {
  if (cause instanceof ProxyError) return cause.sent === sent ? cause : withSent(cause, sent);
  if (cause instanceof RequestBodyBroken)
    return new ProxyError('client_gone', cause.message, { cause, sent });
  if (cause instanceof RequestBodyNotBuffered)
    return new ProxyError('body_not_buffered', cause.message, { cause, sent });
  const found = innermost(cause);
  const known = systemCode(found);
  const code = codeOf(found, known, sent);
  const seen = HANDSHAKE_ALERT.test(known) ? 'not_sent' : sent;
  const retryAfterMs = code === 'out_of_sockets' ? COME_BACK_MS : undefined;
  return new ProxyError(code, messageOf(found, code), { cause, sent: seen, retryAfterMs });
}

/** Other calls give sockets back meanwhile. */
const COME_BACK_MS = 1_000;

/**
 * With TLS 1.3 a client has ended its handshake, and may have sent its request, when the upstream says that it wants
 * another certificate. No server reads a request before its own handshake has ended.
 */
const HANDSHAKE_ALERT =
  /_ALERT_(?:(?:BAD_|NO_|UNSUPPORTED_)?CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)/;

function withSent(error: ProxyError, sent: Sent): ProxyError {
  // Our own refusals come before any byte; only what waited for the upstream depends on how far it got.
  if (!dependsOnProgress(error)) return error;
  return new ProxyError(error.code, error.message, { cause: error, sent, retryAfterMs: error.retryAfterMs });
}

/** Happy eyeballs reports an AggregateError of every address tried; the last one is as good as any. */
function innermost(cause: unknown): unknown {
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.at(-1);
  return cause;
}

function systemCode(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}

function codeOf(cause: unknown, code: string, sent: Sent): ErrorCode {
  // On a connection that carried the request, this is TCP giving up on it.
  if (code === 'ETIMEDOUT' && sent === 'sent_unknown') return 'connection_terminated';
  // undici's parser names its errors, and gives them no code.
  if (cause instanceof Error && cause.name === 'HTTPParserError') return 'protocol_error';
  // "bad response" is a 100 that nobody asked for, "bad upgrade" such a 101; the code is that of any lost connection.
  if (cause instanceof Error && /^bad (?:response|upgrade)$/.test(cause.message)) return 'protocol_error';
  return CODES.get(code) ?? PATTERNS.find(([pattern]) => pattern.test(code))?.[1] ?? 'connection_terminated';
}

function messageOf(cause: unknown, code: ErrorCode): string {
  if (!(cause instanceof Error)) return String(cause);
  if (code === 'out_of_sockets') return `this machine is out of sockets: ${cause.message}`;
  if (code === 'tls_certificate_error') return `${cause.message} (${systemCode(cause)})`;
  // OpenSSL's whole sentence is its own function, file and line.
  if (code.startsWith('tls_') && 'reason' in cause) return `TLS: ${String(cause.reason)}`;
  return cause.message === '' ? cause.name : cause.message;
}
