import { describe, expect, test } from 'vitest';
import { RequestBodyBroken, RequestBodyNotBuffered } from '../../src/http/bodies/request-body.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { toProxyError } from '../../src/upstream/failure.ts';

const failure = (code: string, more: object = {}, message = 'as it was said') =>
  Object.assign(new Error(message), { code, ...more });

describe('codes of the system, undici, Node and OpenSSL', () => {
  test.each([
    ['ECONNREFUSED', 'connection_refused'],
    ['ENOTFOUND', 'dns_error'],
    ['EAI_FAIL', 'dns_error'],
    ['EAI_AGAIN', 'dns_timeout'],
    ['UND_ERR_CONNECT_TIMEOUT', 'connect_timeout'],
    ['ETIMEDOUT', 'connect_timeout'],
    ['EHOSTUNREACH', 'connection_failed'],
    ['ENETUNREACH', 'connection_failed'],
    ['EMFILE', 'out_of_sockets'],
    ['ENFILE', 'out_of_sockets'],
    ['ENOBUFS', 'out_of_sockets'],
    ['EADDRNOTAVAIL', 'out_of_sockets'],
    ['ECONNRESET', 'connection_terminated'],
    ['EPIPE', 'connection_terminated'],
    ['UND_ERR_SOCKET', 'connection_terminated'],
    ['UND_ERR_HEADERS_OVERFLOW', 'protocol_error'],
    ['ERR_HTTP2_ERROR', 'protocol_error'],
    ['ERR_HTTP2_SESSION_ERROR', 'connection_terminated'],
    ['HPE_INVALID_CONSTANT', 'protocol_error'],
    ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'protocol_error'],
    ['UND_ERR_INVALID_ARG', 'bad_request'],
    ['CERT_HAS_EXPIRED', 'tls_certificate_error'],
    ['CERT_NOT_YET_VALID', 'tls_certificate_error'],
    ['CERT_REVOKED', 'tls_certificate_error'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls_certificate_error'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'tls_certificate_error'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls_certificate_error'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'tls_certificate_error'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls_certificate_error'],
    ['HOSTNAME_MISMATCH', 'tls_certificate_error'],
    ['INVALID_PURPOSE', 'tls_certificate_error'],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'tls_alert_received'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tls_alert_received'],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'tls_alert_received'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls_protocol_error'],
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'tls_protocol_error'],
    ['EPROTO', 'tls_protocol_error'],
    ['NOBODY_KNOWS', 'connection_terminated'],
  ])('%s is %s', (code, expected) => {
    const error = toProxyError(failure(code), 'not_sent');
    expect(error).toMatchObject({ code: expected, sent: 'not_sent' });
    expect(error.message).toContain('as it was said');
  });

  test('a TCP timeout after the request was sent is a terminated connection', () => {
    expect(toProxyError(failure('ETIMEDOUT'), 'sent_unknown').code).toBe('connection_terminated');
  });

  test('errors of undici’s parser are recognised by name', () => {
    const error = Object.assign(new Error('Expected HTTP/'), { name: 'HTTPParserError' });
    expect(toProxyError(error, 'sent_unknown')).toMatchObject({
      code: 'protocol_error',
      sent: 'sent_unknown',
    });
  });

  test('with several addresses, the last error counts', () => {
    const all = new AggregateError([
      failure('ENETUNREACH'),
      failure('ECONNREFUSED', {}, 'connect ECONNREFUSED'),
    ]);
    expect(toProxyError(all, 'not_sent')).toMatchObject({
      code: 'connection_refused',
      message: 'connect ECONNREFUSED',
    });
  });
});

describe('what was sent', () => {
  test.each(['not_sent', 'sent_unknown'] as const)('is as far as the attempt got: %s', (sent) => {
    expect(toProxyError(failure('ECONNRESET'), sent).sent).toBe(sent);
    expect(toProxyError(new ProxyError('attempt_timeout', 'late'), sent).sent).toBe(sent);
    expect(
      toProxyError(new ProxyError('deadline_exceeded', 'late', { retryAfterMs: 5 }), sent),
    ).toMatchObject({ sent, retryAfterMs: 5 });
  });

  test.each([
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
    'ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED',
    'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN',
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED',
    'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
  ])('%s: the upstream has not finished its handshake, so it has read nothing', (code) => {
    expect(toProxyError(failure(code), 'sent_unknown').sent).toBe('not_sent');
  });

  test.each(['ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC', 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'CERT_HAS_EXPIRED'])(
    '%s says nothing of that',
    (code) => expect(toProxyError(failure(code), 'sent_unknown').sent).toBe('sent_unknown'),
  );

  test.each(['breaker_open', 'connection_terminated', 'address_prohibited'] as const)(
    'a refusal that knows better stays as it is: %s',
    (code) => {
      const refusal = new ProxyError(code, 'no', { sent: 'not_sent' });
      expect(toProxyError(refusal, 'sent_unknown')).toBe(refusal);
    },
  );
});

describe('messages', () => {
  test('of a certificate: the sentence and its code', () => {
    const error = failure('CERT_HAS_EXPIRED', {}, 'certificate has expired');
    expect(toProxyError(error, 'not_sent').message).toBe('certificate has expired (CERT_HAS_EXPIRED)');
  });

  test('by OpenSSL: its reason, without file and line', () => {
    const long =
      '80:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../ssl.c:80:\n';
    const error = failure('ERR_SSL_WRONG_VERSION_NUMBER', { reason: 'wrong version number' }, long);
    expect(toProxyError(error, 'not_sent').message).toBe('TLS: wrong version number');
  });

  test('nothing: the name', () => {
    expect(toProxyError(new TypeError(''), 'not_sent').message).toBe('TypeError');
    expect(toProxyError('a string', 'not_sent').message).toBe('a string');
  });
});

test('a broken request body is caused by the client, one that was not buffered by the proxy', () => {
  expect(toProxyError(new RequestBodyBroken(), 'sent_unknown').code).toBe('client_gone');
  expect(toProxyError(new RequestBodyNotBuffered(), 'sent_unknown').code).toBe('body_not_buffered');
});
