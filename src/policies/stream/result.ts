import { isCutShort, isSilence, type ProxyError } from '../../proxy/errors.ts';
import type { StreamResult } from '../../proxy/notes.ts';

/** The result of a stream that ends with an error; undefined if this proxy ended it, because another attempt was answered first. */
export function resultOf(error: Pick<ProxyError, 'code'>): StreamResult | undefined {
  if (error.code === 'client_gone') return 'client_gone';
  if (isSilence(error)) return 'stalled';
  return isCutShort(error) ? undefined : 'broken';
}
