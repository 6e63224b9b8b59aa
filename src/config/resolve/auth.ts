import type { AuthOptions } from '../../auth/options.ts';
import type { HeaderRules } from '../../http/headers.ts';
import { AUTH_OFF, type AuthInput } from '../keys/auth.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import type { Settings } from './context.ts';
import type { Inherited, Layer } from './inherit.ts';

interface AuthContext {
  readonly layers: readonly Layer[];
  readonly headers: HeaderRules;
  readonly inherited: Inherited<Settings>;
}

/** The layer that decides about the credential of a route, and what it writes; undefined: none. Layers are not merged. */
export function writtenAuth(
  layers: readonly Layer[],
): { readonly layer: Layer; readonly input: AuthInput } | undefined {
  const inputOf = ({ values }: Layer) => (values as { auth?: AuthInput }).auth;
  const layer = layers.findLast((one) => inputOf(one) !== undefined);
  const input = layer && inputOf(layer);
  return layer === undefined || input === undefined || input === AUTH_OFF ? undefined : { layer, input };
}

/** The credential that the proxy adds to the calls of a route. Reports one that is incomplete, or that other settings contradict. */
export function authOptions(
  { layers, headers, inherited }: AuthContext,
  report: Report,
): AuthOptions | undefined {
  const written = writtenAuth(layers);
  if (written === undefined) return undefined;
  const path: Path = [...written.layer.path, 'auth'];
  const kinds = Object.keys(written.input);
  if (kinds.length !== 1) {
    const found = kinds.length === 0 ? 'has no kind' : `has ${kinds.join(' and ')}`;
    report.problem(path, `${found}; write one of basic and query, or off`, 'key');
    return undefined;
  }
  const options = optionsOf(written.input, { path, report });
  if (options !== undefined) reportConflicts(options, { path, headers, inherited, report });
  return options;
}

interface Written {
  readonly path: Path;
  readonly report: Report;
}

function optionsOf({ basic, query }: AuthInput, written: Written): AuthOptions | undefined {
  if (basic !== undefined) return basicOptions(basic, written);
  return query && queryOptions(query, written);
}

function basicOptions(
  { user, password = '' }: NonNullable<AuthInput['basic']>,
  { path, report }: Written,
): AuthOptions | undefined {
  if (user !== undefined) return { kind: 'basic', user, password };
  const place = [...path, 'basic', 'user'];
  if (!report.knows(place)) report.problem(place, 'is missing; write for example user: "${API_USER}"', 'key');
  return undefined;
}

function queryOptions(
  query: NonNullable<AuthInput['query']>,
  { path, report }: Written,
): AuthOptions | undefined {
  const parameters = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  );
  if (parameters.length > 0) return { kind: 'query', parameters };
  report.problem(
    [...path, 'query'],
    'has no parameter; write for example query: { key: "${API_KEY}" }',
    'key',
  );
  return undefined;
}

interface Conflicting extends Written, Pick<AuthContext, 'headers' | 'inherited'> {}

function reportConflicts(options: AuthOptions, { path, headers, inherited, report }: Conflicting): void {
  const twice = headers.set.find(([name]) => name.toLowerCase() === 'authorization');
  if (twice !== undefined && options.kind !== 'query')
    report.problem(
      path,
      'cannot be combined with headers.set.authorization, which it would replace; remove one',
      'key',
    );
  if (inherited.values.signed.max_age !== null)
    report.problem(
      path,
      'cannot be combined with signed, because signed calls must not be changed; write signed: off',
      'key',
    );
}
