import { OVERLOADED, PING, type StreamApi } from './api.ts';

/** Numbered events on any path, asked for by `sse=`. Their last event says that it is the last by its number alone. */
export const numbers: StreamApi = {
  path: /^/,
  streams: () => true,
  events: ({ pieces }) =>
    pieces.map((_piece, i) => ({ id: String(i + 1), data: `{"n":${i + 1},"of":${pieces.length}}` })),
  ping: PING,
  error: { name: 'error', data: JSON.stringify({ error: OVERLOADED }) },
};
