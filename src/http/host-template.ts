/** A placeholder of a URL or a mount: `{shop}`. Lower case, because host names are. */
const PLACEHOLDER = /\{([a-z][a-z0-9_]{0,30})\}/g;

/** Characters of host names (RFC 1123 §2.1). Checked before case folding: some letters beyond ASCII fold into ASCII. */
const HOST_TEXT = /^[A-Za-z0-9.-]{1,253}$/;

/** One label of a host name (RFC 1123 §2.1), in lower case. */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The longest host name in text form (RFC 1035 §2.3.4). */
const LONGEST_HOST = 253;

/** The names of the placeholders in `text`, in order, each once. */
export function placeholdersOf(text: string): string[] {
  return [...new Set(Array.from(text.matchAll(PLACEHOLDER), ([, name]) => name as string))];
}

/** `text` with the values of its placeholders. A placeholder without a value stays. */
export function filled(text: string, values: Readonly<Record<string, string | undefined>>): string {
  return text.replace(PLACEHOLDER, (found, name: string) => values[name] ?? found);
}

/** The names that a host with placeholders can have, as `*.example.com`; a host without one is its only name. */
export function hostPattern(host: string): string {
  const end = host.lastIndexOf('}');
  return end < 0 ? host : `*${host.slice(host.indexOf('.', end))}`;
}

/**
 * The text that stands for a placeholder in a host, in lower case; undefined if it is no label of a host name. `dots` allows several
 * labels. Labels in Punycode (`xn--`, RFC 3492) are refused, because people read them as other names.
 */
export function hostLabel(written: string, dots: boolean): string | undefined {
  if (!HOST_TEXT.test(written)) return undefined;
  const folded = written.toLowerCase();
  if (!dots && folded.includes('.')) return undefined;
  return folded.split('.').every((label) => LABEL.test(label) && !label.startsWith('xn--'))
    ? folded
    : undefined;
}

/** Whether `host` is a host name in lower case. The text of a placeholder may have made it, or one of its labels, too long. */
export function isHostName(host: string): boolean {
  return host.length <= LONGEST_HOST && host.split('.').every((label) => LABEL.test(label));
}
