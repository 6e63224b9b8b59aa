import { blamesUpstream, isSilence, type ProxyError } from '../../proxy/errors.ts';
import type { StreamResult } from '../../proxy/notes.ts';

/** The result of a stream that ends with an error; undefined if this proxy ended it, because it shuts down or another attempt has won. */
export function resultOf(error: Pick<ProxyError, 'code'>): StreamResult | undefined {
  if (error.code === 'client_gone') return 'client_gone';
  if (!blamesUpstream(error)) return undefined;
  return isSilence(error) ? 'stalled' : 'broken';
}
