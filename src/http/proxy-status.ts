/** One member of a Proxy-Status list (RFC 9209). */
export interface ProxyStatus {
  /** An error type of RFC 9209 §2.3. */
  readonly error?: string;
  readonly receivedStatus?: number;
  readonly details?: string;
}

/** `breakwater; error=connection_refused; details="…"` */
export function proxyStatus({ error, receivedStatus, details }: ProxyStatus): string {
  let text = 'breakwater';
  if (error !== undefined) text += `; error=${error}`;
  if (receivedStatus !== undefined) text += `; received-status=${receivedStatus}`;
  if (details !== undefined) text += `; details=${sfString(details)}`;
  return text;
}

/** A structured-field string (RFC 8941 §3.3.3) holds printable ASCII only. */
function sfString(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`;
}
