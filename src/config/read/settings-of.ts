import { isMap, parseDocument } from 'yaml';

/** YAML that lays `settings`, as YAML, over one upstream. A string is the problem of `settings`. */
export function settingsOf(upstream: string, settings: string): { readonly text: string } | string {
  const changes = parseDocument(settings);
  const [error] = changes.errors;
  if (error !== undefined) return `the settings are not YAML: ${error.message.split('\n', 1)[0]}`;
  if (!isMap(changes.contents))
    return 'the settings must be keys of the upstream, such as retry: { attempts: 2 }';
  try {
    return { text: JSON.stringify({ upstreams: { [upstream]: changes.toJS() as unknown } }) };
  } catch (problem) {
    // Aliases that unfold without end.
    return `the settings cannot be read: ${problem instanceof Error ? problem.message : String(problem)}`;
  }
}
