import type { SharedOptions } from '../../fleet/options.ts';
import type { UpstreamConfig } from '../config.ts';
import type { ProcessInput } from '../keys/schema.ts';
import type { Report } from '../read/report.ts';
import type { Complete } from './inherit.ts';

/** Undefined without a store. `written`: the section of the file. */
export function sharedOptions(
  { store, name, replicas, secret }: Complete<ProcessInput>['shared'],
  written: ProcessInput['shared'],
  report: Report,
): SharedOptions | undefined {
  if (store !== undefined) return { store, name, replicas, secret };
  const path = ['shared', 'store'];
  if (written !== undefined && !report.knows(path))
    report.problem(path, 'is missing; write for example store: redis://127.0.0.1:6379', 'key');
  return undefined;
}

/** Replies and tokens are stored encrypted or not at all, so they are shared only with a secret. */
export function checkSharing(
  shared: SharedOptions | undefined,
  upstreams: readonly Pick<UpstreamConfig, 'routes'>[],
  report: Report,
): void {
  if (shared === undefined || shared.secret !== undefined) return;
  const stores = upstreams.some(({ routes }) =>
    routes.some(({ settings: { auth, dedupe } }) => auth?.kind === 'oauth2' || dedupe.windowMs !== undefined),
  );
  if (stores)
    report.hint(
      ['shared', 'store'],
      'does not share replies of dedupe and access tokens without shared.secret; write for example secret: "${SHARED_SECRET}"',
    );
}
