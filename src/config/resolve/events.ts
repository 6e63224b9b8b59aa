import { isPrivateHost } from '../../http/private-address.ts';
import type { EventOptions } from '../../telemetry/operator-events/options.ts';
import type { ProcessInput } from '../keys/schema.ts';
import type { Report } from '../read/report.ts';
import type { Complete } from './inherit.ts';

type Events = Complete<ProcessInput>['events'];

/** Undefined without a webhook. Messages do not quote the URL: those of chats are secret. `written`: the section of the file. */
export function eventOptions(
  { allow_private: allowPrivate, backlog_age: backlogAgeMs, format, types }: Events,
  written: ProcessInput['events'],
  report: Report,
): EventOptions | undefined {
  if (written === undefined) return undefined;
  const { webhook, secret: secrets = [] } = written;
  const url = checkedUrl(webhook, allowPrivate, report);
  if (format === 'json' && secrets.length === 0 && url !== undefined)
    report.problem(
      ['events', 'secret'],
      'is missing, because events are signed; write for example secret: "${EVENT_SECRET}", made by: echo whsec_$(openssl rand -base64 32)',
      'key',
    );
  if (url === undefined) return undefined;
  const webhookPath = url.pathname + url.search;
  return { origin: url.origin, webhookPath, format, secrets, allowPrivate, types, backlogAgeMs };
}

function checkedUrl(webhook: string | undefined, allowPrivate: boolean, report: Report): URL | undefined {
  const path = ['events', 'webhook'];
  if (webhook === undefined) {
    report.problem(path, 'is missing; write for example webhook: "${EVENT_WEBHOOK}"', 'key');
    return undefined;
  }
  const url = URL.parse(webhook);
  const problem = problemWith(url, allowPrivate);
  if (problem !== undefined) report.problem(path, problem);
  return problem === undefined && url !== null ? url : undefined;
}

function problemWith(url: URL | null, allowPrivate: boolean): string | undefined {
  if (url === null) return 'is not a URL; write for example https://app.internal/hooks/breakwater';
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'needs https:// or http://';
  if (url.username !== '' || url.password !== '')
    return 'contains credentials; remove them, because messages are signed';
  return !allowPrivate && isPrivateHost(url.hostname)
    ? `${url.hostname} is a private address; write allow_private: true next to webhook if this is intended`
    : undefined;
}
