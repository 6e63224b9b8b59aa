/** Values of a generated configuration that a benchmark changes between two reloads. */
export interface Change {
  /** Of all routes. */
  readonly attempts: number;
  /** Of the first route alone. */
  readonly firstTotal: number;
}

export interface Size {
  readonly upstreams: number;
  /** Of each upstream. */
  readonly routes: number;
}

/** The defaults and upstreams of a configuration with `upstreams` × `routes`. */
export function largeConfig(
  { upstreams, routes }: Size,
  { attempts, firstTotal }: Change = { attempts: 3, firstTotal: 30 },
): string {
  const lines = [`defaults: { retry: { attempts: ${attempts} } }`, 'upstreams:'];
  for (let i = 0; i < upstreams; i++) {
    lines.push(`  up${i}:`, `    url: https://api${i}.example.com`);
    lines.push('    headers: { set: { authorization: "Bearer x" } }', '    routes:');
    for (let j = 0; j < routes; j++) {
      const total = i + j === 0 ? firstTotal : 30;
      lines.push(`      - match: { method: GET, path: "/v1/r${j}/:id" }`);
      lines.push(`        timeouts: { total: ${total}s }`, '        hedge: { after: 500ms }');
    }
  }
  return `${lines.join('\n')}\n`;
}
