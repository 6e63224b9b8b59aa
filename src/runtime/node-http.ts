/**
 * Values of node:http. An `import` would make Node read every export, and one of these (`WebSocket`) loads Node's built-in
 * undici: 16 MB of memory and about 40 ms of the start, for nothing.
 */
export const { createServer, METHODS, ServerResponse, STATUS_CODES } = process.getBuiltinModule('node:http');
