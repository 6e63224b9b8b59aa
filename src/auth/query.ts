import { REDACTED, withoutParameters } from '../http/credentials.ts';
import { withFieldValues } from '../http/headers.ts';
import type { Credential } from '../proxy/credential.ts';
import type { QueryOptions } from './options.ts';

/** Secret parameters at the end of the query, in place of parameters of the same name. */
export function queryCredential({ parameters }: QueryOptions): Credential {
  const names = new Set(parameters.map(([name]) => name));
  const added = parameters.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const hide = hiding(parameters);
  return {
    authorize({ target, headers }) {
      const own = withoutParameters(target, names);
      return { target: `${own}${own.includes('?') ? '&' : '?'}${added.join('&')}`, headers };
    },
    clean: (headers) => withFieldValues(headers, (_name, value) => hide(value)),
  };
}

/** Removes the parameters from URLs in a text, such as a Location. A value elsewhere is redacted. */
function hiding(parameters: QueryOptions['parameters']): (text: string) => string {
  const pairs = parameters.flatMap(([name, value]) =>
    spellings(name).flatMap((key) => spellings(value).map((spelled) => `${key}=${spelled}`)),
  );
  // The longest first: one value may be the beginning of another.
  const values = parameters.flatMap(([, value]) => spellings(value)).toSorted((a, b) => b.length - a.length);
  return (text) => {
    if (!values.some((value) => text.includes(value))) return text;
    const without = pairs.reduce(
      (left, pair) => left.replaceAll(`${pair}&`, '').replaceAll(`?${pair}`, '').replaceAll(`&${pair}`, ''),
      text,
    );
    return values.reduce((left, value) => left.replaceAll(value, REDACTED), without);
  };
}

/** How servers may write a value in a URL. */
function spellings(text: string): string[] {
  const encoded = encodeURIComponent(text);
  const lower = encoded.replaceAll(/%[0-9A-F]{2}/g, (octet) => octet.toLowerCase());
  const form = new URLSearchParams([['', text]]).toString().slice(1);
  return [...new Set([text, encoded, lower, form])];
}
