/** One message by RFC 9112. */
export interface StrictMessage {
  readonly startLine: string;
  readonly head: string;
  readonly body: string;
  /** Where the next one begins. */
  readonly end: number;
}

const REQUEST_LINE = /^[A-Z]+ \/[\x21-\x7e]* HTTP\/1\.1$/;
const STATUS_LINE = /^HTTP\/1\.1 [1-9]\d\d [\t\x20-\x7e]*$/;
const FIELD = /^([!#$%&'*+\-.^_`|~\w]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/;

/**
 * The message that begins at `at`, undefined while it is incomplete. Throws if it is ambiguous or invalid: the proxy
 * itself has sent it.
 */
export function strictMessage(
  text: string,
  at: number,
  kind: 'request' | 'reply',
): StrictMessage | undefined {
  const blank = text.indexOf('\r\n\r\n', at);
  if (blank < 0) return undefined;
  const head = text.slice(at, blank);
  const [startLine = '', ...lines] = head.split('\r\n');
  if (!(kind === 'request' ? REQUEST_LINE : STATUS_LINE).test(startLine)) violation('start line', startLine);
  const fields = lines.map((line) => {
    const [, name, value] = FIELD.exec(line) ?? violation('field', line);
    return [String(name).toLowerCase(), String(value).trim()] as const;
  });
  const { length, chunked } = framing(fields, head);
  // HTTP/1.0 clients have no chunks.
  const untilClose = kind === 'reply' && length === undefined && /\r\nconnection: close/i.test(head);
  const start = blank + 4;
  if (chunked) return chunkedBody(text, start, { startLine, head });
  const end = untilClose ? text.length : start + (length ?? 0);
  return text.length < end ? undefined : { startLine, head, body: text.slice(start, end), end };
}

function framing(fields: readonly (readonly [name: string, value: string])[], head: string) {
  const of = (wanted: string) => fields.filter(([name]) => name === wanted).map(([, value]) => value);
  const [length, ...lengths] = of('content-length');
  const [coding, ...codings] = of('transfer-encoding');
  if (lengths.length + codings.length > 0) violation('framed twice', head);
  if (length !== undefined && (coding !== undefined || !/^\d{1,15}$/.test(length))) violation('length', head);
  if (coding !== undefined && coding !== 'chunked') violation('coding', head);
  if (of('host').length > 1) violation('hosts', head);
  return { length: length === undefined ? undefined : Number(length), chunked: coding !== undefined };
}

function chunkedBody(
  text: string,
  start: number,
  message: Pick<StrictMessage, 'startLine' | 'head'>,
): StrictMessage | undefined {
  let body = '';
  for (let at = start; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const line = text.slice(at, lineEnd);
    if (!/^[\da-f]{1,8}$/i.test(line)) violation('chunk size', line);
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) return afterTrailers(text, at, { ...message, body });
    if (text.length < at + size + 2) return undefined;
    if (text.slice(at + size, at + size + 2) !== '\r\n')
      violation('chunk end', text.slice(at, at + size + 2));
    body += text.slice(at, at + size);
    at += size + 2;
  }
}

function afterTrailers(
  text: string,
  start: number,
  message: Omit<StrictMessage, 'end'>,
): StrictMessage | undefined {
  for (let at = start; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    if (lineEnd === at) return { ...message, end: at + 2 };
    const line = text.slice(at, lineEnd);
    if (!FIELD.test(line)) violation('trailer', line);
    at = lineEnd + 2;
  }
}

function violation(what: string, where: string): never {
  throw new Error(`malformed ${what}: ${JSON.stringify(where.slice(0, 300))}`);
}
