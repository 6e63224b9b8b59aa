/** The error types of RFC 9209 §2.3. */
export type ProxyErrorType =
  | 'dns_timeout'
  | 'dns_error'
  | 'destination_not_found'
  | 'destination_unavailable'
  | 'destination_ip_prohibited'
  | 'destination_ip_unroutable'
  | 'connection_refused'
  | 'connection_terminated'
  | 'connection_timeout'
  | 'connection_read_timeout'
  | 'connection_write_timeout'
  | 'connection_limit_reached'
  | 'tls_protocol_error'
  | 'tls_certificate_error'
  | 'tls_alert_received'
  | 'http_request_error'
  | 'http_request_denied'
  | 'http_response_incomplete'
  | 'http_response_header_section_size'
  | 'http_response_header_size'
  | 'http_response_body_size'
  | 'http_response_trailer_section_size'
  | 'http_response_trailer_size'
  | 'http_response_transfer_coding'
  | 'http_response_content_coding'
  | 'http_response_timeout'
  | 'http_upgrade_failed'
  | 'http_protocol_error'
  | 'proxy_internal_response'
  | 'proxy_internal_error'
  | 'proxy_configuration_error'
  | 'proxy_loop_detected';

/** The parameters of a Proxy-Status member (RFC 9209). */
export interface ProxyStatus {
  readonly error?: ProxyErrorType;
  readonly receivedStatus?: number;
  readonly details?: string;
}

/** Formats a Proxy-Status member, such as `breakwater; error=connection_refused; details="…"`. */
export function proxyStatus({ error, receivedStatus, details }: ProxyStatus): string {
  let text = 'breakwater';
  if (error !== undefined) text += `; error=${error}`;
  if (receivedStatus !== undefined) text += `; received-status=${receivedStatus}`;
  if (details !== undefined) text += `; details=${sfString(details)}`;
  return text;
}

/** A structured-field string (RFC 8941 §3.3.3), which has printable ASCII only. */
function sfString(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`;
}
