import type { Config } from '../config/config.ts';
import { shownUrl } from '../config/show/effective.ts';
import { targetOf } from '../telemetry/tracing/spans.ts';
import type { TracingSetup } from '../telemetry/tracing/tracing.ts';

/** The part of a configuration that traces need. */
export function tracingSetup({ tracing, log, tls, upstreams }: Config): TracingSetup {
  return {
    options: tracing,
    paths: log.path,
    scheme: tls === undefined ? 'http' : 'https',
    targets: new Map(
      upstreams.flatMap((upstream) => {
        const target = targetOf(upstream.origin);
        return target === undefined ? [] : [[upstream.name, { ...target, url: shownUrl(upstream) }]];
      }),
    ),
  };
}
