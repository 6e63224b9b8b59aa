/* Builds the same call as a curl command. Pure. */

/** @import { Change } from './types.d.ts' */

/**
 * Quotes an argument for a POSIX shell.
 * @param {string} text
 */
export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * @param {Change} change
 * @param {{ readonly url: string, readonly token: boolean }} options `token`: the server requires one; the command reads it from the environment.
 */
export function curlOf({ method, body }, { url, token }) {
  const parts = ['curl', '-X', method, quoted(url)];
  if (token) parts.push('-H', '"Authorization: Bearer $BREAKWATER_ADMIN_TOKEN"');
  if (body !== undefined)
    parts.push('-H', "'content-type: application/json'", '-d', quoted(JSON.stringify(body)));
  return parts.join(' ');
}
