/* The same call for a terminal. Pure. */

/** @import { Change } from './types.d.ts' */

/**
 * For a POSIX shell: what is quoted is taken as it is, whatever it holds.
 * @param {string} text
 */
export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * @param {Change} change
 * @param {{ readonly url: string, readonly token: boolean }} options `token`: the server wants one; it is never written out.
 */
export function curlOf({ method, body }, { url, token }) {
  const parts = ['curl', '-X', method, quoted(url)];
  if (token) parts.push('-H', '"Authorization: Bearer $BREAKWATER_ADMIN_TOKEN"');
  if (body !== undefined)
    parts.push('-H', "'content-type: application/json'", '-d', quoted(JSON.stringify(body)));
  return parts.join(' ');
}
