/**
 * node:http for its values. An `import` of them would make Node build a facade of every export, and one of these
 * (`WebSocket`) then loads all of Node's built-in undici: 16 MB of memory and some 40 ms of a start, for nothing.
 */
export const { createServer, METHODS, ServerResponse, STATUS_CODES } = process.getBuiltinModule('node:http');
