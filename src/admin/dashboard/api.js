/* Calls to the admin server. The token is stored only in this tab's session storage. */

const KEY = 'breakwater-admin-token';
const TIMEOUT_MS = 10_000;
/** Of a simulation. The server ends it earlier. */
const LONG_TIMEOUT_MS = 60_000;

/** The server answered with an error status. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   * @param {readonly string[]} [errors] Problems of a configuration, one line each.
   */
  constructor(status, detail, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? undefined,
  set: (/** @type {string} */ value) => sessionStorage.setItem(KEY, value),
};

/**
 * The URL of a path on this server, also behind a proxy that adds a prefix.
 * @param {string} path
 */
export function urlOf(path) {
  return new URL(`.${path}`, new URL('.', location.href)).href;
}

/** How far the server's clock is ahead of this one, in milliseconds. */
let skewMs = 0;

export const now = () => Date.now() + skewMs;

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
export async function get(path) {
  return (await call('GET', path)).json();
}

/**
 * A question whose answer takes long.
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>}
 */
export async function ask(path, body) {
  return (await call('POST', path, { body, signal: AbortSignal.timeout(LONG_TIMEOUT_MS) })).json();
}

/**
 * @param {import('./types.d.ts').Change} change
 * @returns {Promise<any>} Undefined for 204.
 */
export async function send({ method, path, body = {} }) {
  const response = await call(method, path, { body });
  return response.status === 204 ? undefined : response.json();
}

/**
 * The text of an endless answer, as it comes.
 * @param {string} path
 * @param {AbortSignal} signal
 */
export async function* stream(path, signal) {
  const response = await call('GET', path, { accept: 'text/event-stream', signal });
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{ body?: object, accept?: string, signal?: AbortSignal }} [options]
 */
async function call(method, path, { body, accept = 'application/json', signal } = {}) {
  const given = token.get();
  const headers = new Headers({ accept });
  if (given !== undefined) headers.set('authorization', `Bearer ${given}`);
  if (body !== undefined) headers.set('content-type', 'application/json');
  const response = await fetch(urlOf(path), {
    method,
    headers,
    body: body === undefined ? null : JSON.stringify(body),
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    signal: signal ?? AbortSignal.timeout(TIMEOUT_MS),
  });
  follow(response.headers.get('date'));
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const detail = String(problem.detail ?? `${response.status} ${response.statusText}`);
  throw new Refused(response.status, detail, Array.isArray(problem.errors) ? problem.errors : []);
}

/** Dates have whole seconds, so a difference below two seconds is ignored. @param {string | null} date */
function follow(date) {
  const ahead = date === null ? 0 : Date.parse(date) - Date.now();
  skewMs = Math.abs(ahead) < 2_000 ? 0 : ahead;
}
