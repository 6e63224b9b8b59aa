import { headerOf } from '../../http/headers.ts';
import type { Reply } from '../../http/reply.ts';
import type { CacheOptions } from './options.ts';

/**
 * Whether this kind of reply can be cached. It must come from the upstream itself. It must not have cookies, which belong to one
 * client. It must not be an event stream, which has no end. Its declared length must not be too large.
 */
export function isCacheable(reply: Reply, { maxReplyBytes }: CacheOptions): boolean {
  const { headers } = reply;
  if (!isPlain(reply) || headerOf(headers, 'set-cookie') !== undefined) return false;
  if (/^\s*text\/event-stream/i.test(headerOf(headers, 'content-type') ?? '')) return false;
  return Number(headerOf(headers, 'content-length') ?? 0) <= maxReplyBytes;
}

const isPlain = ({ grpc, origin, classification }: Reply): boolean =>
  grpc === undefined && origin === undefined && classification === undefined;

/** A 304 of the upstream itself. A 304 of a fallback confirms nothing about the cached reply. */
export const isConfirmation = ({ origin, status }: Reply): boolean => status === 304 && origin === undefined;
