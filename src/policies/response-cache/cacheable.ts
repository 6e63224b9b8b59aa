import { headerOf } from '../../http/headers.ts';
import type { Reply } from '../../http/reply.ts';
import type { CacheOptions } from './options.ts';

/**
 * Whether it could be kept, as far as its kind goes: only the upstream's own; no cookies, which belong to one conversation; no
 * stream of events, which has no end for the others to wait for. One that says that it is too large need not be tried.
 */
export function fits(reply: Reply, { maxReplyBytes }: CacheOptions): boolean {
  const { headers } = reply;
  if (!isPlain(reply) || headerOf(headers, 'set-cookie') !== undefined) return false;
  if (/^\s*text\/event-stream/i.test(headerOf(headers, 'content-type') ?? '')) return false;
  return Number(headerOf(headers, 'content-length') ?? 0) <= maxReplyBytes;
}

const isPlain = ({ grpc, origin, classification }: Reply): boolean =>
  grpc === undefined && origin === undefined && classification === undefined;

/** By the upstream itself: another's copy is none of ours. */
export const isConfirmation = ({ origin, status }: Reply): boolean => status === 304 && origin === undefined;
