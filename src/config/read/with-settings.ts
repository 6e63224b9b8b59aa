import { isMap, parseDocument } from 'yaml';

/**
 * The text of a configuration in which `settings`, as YAML, are merged into one upstream. A string is the problem of
 * `settings`.
 */
export function withSettings(
  text: string,
  upstream: string,
  settings: string,
): { readonly text: string } | string {
  const document = parseDocument(text);
  const changes = parseDocument(settings);
  const [error] = changes.errors;
  if (error !== undefined) return `the settings are not YAML: ${error.message.split('\n', 1)[0]}`;
  if (!isMap(changes.contents))
    return 'the settings must be keys of the upstream, such as retry: { attempts: 2 }';
  // Aliases may share a node with another upstream, so the values are copied.
  const root: unknown = document.toJS();
  const upstreams = childOf(root, 'upstreams');
  const before = childOf(upstreams, upstream);
  if (!isObject(upstreams)) return 'the file has no upstreams';
  const added = valuesOf(changes);
  if (typeof added === 'string') return added;
  upstreams[upstream] = merged(before, added.values);
  return { text: JSON.stringify(root) };
}

/** Throws nothing: aliases that unfold without end are a problem of the settings. */
function valuesOf(changes: ReturnType<typeof parseDocument>): { readonly values: unknown } | string {
  try {
    return { values: changes.toJS() };
  } catch (error) {
    return `the settings cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

type Values = Record<string, unknown>;

const isObject = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const childOf = (value: unknown, key: string): unknown =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;

function merged(before: unknown, after: unknown): unknown {
  if (!isObject(before) || !isObject(after)) return after;
  const result: Values = { ...before };
  for (const [key, value] of Object.entries(after)) result[key] = merged(childOf(before, key), value);
  return result;
}
