import type { RawHeaders } from './headers.ts';

/**
 * What is wrong with a reply that the parser has let through, if anything. A transfer coding beside chunked would
 * reach the client without its name, for nobody here takes it off (RFC 9112 §6.1).
 */
export function replyFlaw(status: number, headers: RawHeaders): string | undefined {
  if (status < 100) return `there is no status ${status}`;
  let codings: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (
      name.length === 14 &&
      name.toLowerCase() === 'content-length' &&
      !Number.isSafeInteger(Number(headers[i + 1]))
    )
      return 'the Content-Length is beyond measure';
    if (name.length !== 17 || name.toLowerCase() !== 'transfer-encoding') continue;
    codings = codings === undefined ? headers[i + 1] : `${codings},${headers[i + 1]}`;
  }
  if (codings === undefined || codings.toLowerCase() === 'chunked') return undefined;
  return 'the only transfer coding understood is chunked';
}
