import { RequestBodyBroken, RequestBodyNotBuffered } from '../http/bodies/request-body.ts';
import { dependsOnProgress, type ErrorCode, ProxyError, type Sent } from '../proxy/errors.ts';

const CODES: ReadonlyMap<string, ErrorCode> = new Map(
  Object.entries<ErrorCode>({
    ECONNREFUSED: 'connection_refused',
    ENOTFOUND: 'dns_error',
    ENODATA: 'dns_error',
    EAI_FAIL: 'dns_error',
    EAI_NONAME: 'dns_error',
    // The resolver got no answer in time.
    EAI_AGAIN: 'dns_timeout',
    ETIMEOUT: 'dns_timeout',
    UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
    ETIMEDOUT: 'connect_timeout',
    EHOSTUNREACH: 'connection_failed',
    ENETUNREACH: 'connection_failed',
    // This machine has no free file descriptors, buffers or ports. No upstream is to blame.
    EADDRNOTAVAIL: 'out_of_sockets',
    EMFILE: 'out_of_sockets',
    ENFILE: 'out_of_sockets',
    ENOBUFS: 'out_of_sockets',
    ECONNRESET: 'connection_terminated',
    EPIPE: 'connection_terminated',
    UND_ERR_SOCKET: 'connection_terminated',
    UND_ERR_CLOSED: 'connection_terminated',
    UND_ERR_DESTROYED: 'connection_terminated',
    // Content-Length contradicts another length or the coding. A body shorter than its length ends with an error of its own.
    UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'protocol_error',
    UND_ERR_HEADERS_OVERFLOW: 'protocol_error',
    // nghttp2 could not parse the bytes.
    ERR_HTTP2_ERROR: 'protocol_error',
    // undici refuses to send a header or target of the client that node:http has accepted.
    UND_ERR_INVALID_ARG: 'bad_request',
    UND_ERR_NOT_SUPPORTED: 'bad_request',
  }),
);

/** Patterns for codes that are not listed: certificates (node:tls and OpenSSL), TLS alerts, other TLS errors. */
const PATTERNS: readonly (readonly [RegExp, ErrorCode])[] = [
  [
    /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_)/,
    'tls_certificate_error',
  ],
  [/^ERR_SSL_.*ALERT/, 'tls_alert_received'],
  // node:http's parser.
  [/^HPE_/, 'protocol_error'],
  [/^(?:ERR_SSL|ERR_TLS|EPROTO$)/, 'tls_protocol_error'],
];

/**
 * The only place where errors of undici, Node and OpenSSL become a ProxyError.
 * `sent`: whether the attempt had a connection, so that some of its bytes may have been sent.
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
  const retryAfterMs = code === 'out_of_sockets' ? SOCKET_RETRY_AFTER_MS : undefined;
  return new ProxyError(code, messageOf(found, code), { cause, sent: seen, retryAfterMs });
}

/** Retry-After when no socket is free. Other calls release sockets meanwhile. */
const SOCKET_RETRY_AFTER_MS = 1_000;

/**
 * Alerts that end a handshake. In TLS 1.3, a client may have sent its request before the server rejects its certificate.
 * The request was not read, because a server reads none before its own handshake has ended.
 */
const HANDSHAKE_ALERT =
  /_ALERT_(?:(?:BAD_|NO_|UNSUPPORTED_)?CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)/;

function withSent(error: ProxyError, sent: Sent): ProxyError {
  // Only errors while waiting for the upstream depend on progress. The proxy's own refusals precede any byte.
  if (!dependsOnProgress(error)) return error;
  return new ProxyError(error.code, error.message, { cause: error, sent, retryAfterMs: error.retryAfterMs });
}

/** The last error of an AggregateError. Happy eyeballs reports one error per address. */
function innermost(cause: unknown): unknown {
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.at(-1);
  return cause;
}

function systemCode(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}

function codeOf(cause: unknown, code: string, sent: Sent): ErrorCode {
  // On a connection that has sent the request, TCP has given up retransmission.
  if (code === 'ETIMEDOUT' && sent === 'sent_unknown') return 'connection_terminated';
  // undici's parser sets a name, but no code.
  if (cause instanceof Error && cause.name === 'HTTPParserError') return 'protocol_error';
  // "bad response" is an unrequested 100, "bad upgrade" an unrequested 101. Their code is that of a lost connection.
  if (cause instanceof Error && /^bad (?:response|upgrade)$/.test(cause.message)) return 'protocol_error';
  return CODES.get(code) ?? PATTERNS.find(([pattern]) => pattern.test(code))?.[1] ?? 'connection_terminated';
}

function messageOf(cause: unknown, code: ErrorCode): string {
  if (!(cause instanceof Error)) return String(cause);
  if (code === 'out_of_sockets') return `this machine is out of sockets: ${cause.message}`;
  if (code === 'tls_certificate_error') return `${cause.message} (${systemCode(cause)})`;
  // OpenSSL's full message has its function, file and line.
  if (code.startsWith('tls_') && 'reason' in cause) return `TLS: ${String(cause.reason)}`;
  return cause.message === '' ? cause.name : cause.message;
}
